#include "asmlp/torch/detect/detector_file.h"

namespace asmlp::detect {

DetectorFile load_detector(const std::filesystem::path& path, const DetectorLoadOptions& options) {
  return nn::load_dense_file<DetectorNet>(path, kDetectorKey, options, detector_from_json);
}

void save_detector(const std::filesystem::path& path, const DetectorSpec& spec,
                   const DetectorNetImpl& net) {
  nn::save_dense_file(path, kDetectorKey, spec, net);
}

}  // namespace asmlp::detect
