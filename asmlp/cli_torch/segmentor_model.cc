#include "asmlp/cli_torch/segmentor_model.h"

#include <algorithm>

#include "asmlp/metrics/segmentation.h"

namespace asmlp::cli {
namespace {

segment::PredictOptions predict_options(const TtaOptions& tta) {
  segment::PredictOptions options;
  options.multi_scale = tta.multi_scale;
  options.flip = tta.flip;
  options.full_size = tta.full_size;
  if (!tta.sliding) {
    require(!tta.crop && !tta.stride, ErrorCode::kInvalidArgument,
            "--crop and --stride belong to --sliding; add it or leave them out");
    return options;
  }
  segment::SlidingWindow window;
  if (tta.crop) {
    window.crop = *tta.crop;
    window.stride = std::max(1, window.crop * 2 / 3);
  }
  if (tta.stride) window.stride = *tta.stride;
  validate(window);
  options.sliding = window;
  return options;
}

}  // namespace

LoadedSegmentor load_named_segmentor(const ModelOptions& options, int threads,
                                     const TtaOptions& tta) {
  const segment::PredictOptions predict = predict_options(tta);
  LoadedSegmentor loaded{load_dense_model(options, threads, Task::kSegment, resolve_segmentor,
                                          segment::load_segmentor),
                         predict};
  require(loaded.spec.config.backbone.in_chans == 3, ErrorCode::kUnsupported,
          "{}: the model takes {} channels, images are read as RGB", loaded.file.string(),
          loaded.spec.config.backbone.in_chans);
  require(loaded.spec.config.num_classes <= kIgnoredLabel, ErrorCode::kUnsupported,
          "{}: the model has {} classes, label maps hold at most {}", loaded.file.string(),
          loaded.spec.config.num_classes, kIgnoredLabel);
  return loaded;
}

std::string describe(const segment::PredictOptions& tta) {
  std::string text =
      tta.multi_scale ? fmt::format("{} scales", std::size(segment::kTtaScales)) : "one scale";
  if (tta.flip) text += ", mirrored";
  if (tta.full_size) text += ", full size";
  return text + (tta.sliding ? fmt::format(", windows of {} every {}", tta.sliding->crop,
                                           tta.sliding->stride)
                             : ", whole image");
}

}  // namespace asmlp::cli
