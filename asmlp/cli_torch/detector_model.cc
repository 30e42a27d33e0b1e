#include "asmlp/cli_torch/detector_model.h"

namespace asmlp::cli {

LoadedDetector load_named_detector(const ModelOptions& options, int threads) {
  LoadedDetector loaded =
      load_dense_model(options, threads, Task::kDetect, resolve_detector, detect::load_detector);
  const int channels = loaded.spec.config.backbone.in_chans;
  require(channels == 1 || channels == 3, ErrorCode::kUnsupported,
          "{}: the detector takes {} channels, image files have 1 or 3", loaded.file.string(),
          channels);
  return loaded;
}

}  // namespace asmlp::cli
