#include "asmlp/cli_torch/segmentor_options.h"

#include <algorithm>

#include "asmlp/metrics/segmentation.h"

namespace asmlp::cli {
namespace {

std::optional<segment::SlidingWindow> sliding_of(const SegmentorOptions& options) {
  if (!options.sliding) {
    require(!options.crop && !options.stride, ErrorCode::kInvalidArgument,
            "--crop and --stride belong to --sliding; add it or leave them out");
    return std::nullopt;
  }
  segment::SlidingWindow window;
  if (options.crop) {
    window.crop = *options.crop;
    window.stride = std::max(1, window.crop * 2 / 3);
  }
  if (options.stride) window.stride = *options.stride;
  validate(window);
  return window;
}

}  // namespace

void add_segmentor_options(CLI::App& app, SegmentorOptions& options) {
  add_dense_model_options(app, options, "segmentor");
  const std::string views = "Views";
  app.add_flag("--multi-scale", options.views.multi_scale,
               "average six scales, 0.5 to 1.75 times the model's")
      ->group(views);
  app.add_flag("--flip", options.views.flip, "average with the mirrored image")->group(views);
  app.add_flag("--sliding", options.sliding,
               "run the network on overlapping windows instead of the whole image")
      ->group(views);
  app.add_option("--crop", options.crop, "side of the windows in pixels (default 512)")
      ->check(CLI::Range(1, 1 << 14))
      ->type_name("N")
      ->group(views);
  app.add_option("--stride", options.stride,
                 "pixels from window to window (default: two thirds of the crop)")
      ->check(CLI::Range(1, 1 << 14))
      ->type_name("N")
      ->group(views);
  app.add_flag("--full-size", options.views.full_size,
               "do not resize the image to the model's size first (large images: with --sliding)")
      ->group(views);
}

LoadedSegmentor load_segmentor(const SegmentorOptions& options) {
  const std::optional<segment::SlidingWindow> sliding = sliding_of(options);
  LoadedSegmentor loaded{load_dense_model(options, ModelTask::kSegment, resolve_segmentor,
                                          segment::load_segmentor),
                         options.views};
  loaded.views.sliding = sliding;
  require(loaded.spec.config.backbone.in_chans == 3, ErrorCode::kUnsupported,
          "{}: the model takes {} channels, images are read as RGB", loaded.file.string(),
          loaded.spec.config.backbone.in_chans);
  require(loaded.spec.config.num_classes <= kIgnoredLabel, ErrorCode::kUnsupported,
          "{}: the model has {} classes, label maps hold at most {}", loaded.file.string(),
          loaded.spec.config.num_classes, kIgnoredLabel);
  return loaded;
}

std::string describe(const segment::PredictOptions& views) {
  std::string text =
      views.multi_scale ? fmt::format("{} scales", std::size(segment::kViewRatios)) : "one scale";
  if (views.flip) text += ", mirrored";
  if (views.full_size) text += ", full size";
  return text + (views.sliding ? fmt::format(", windows of {} every {}", views.sliding->crop,
                                             views.sliding->stride)
                               : ", whole image");
}

}  // namespace asmlp::cli
