#include "asmlp/cli/options/tta_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "asmlp/core/error.h"

namespace asmlp::cli {

void add_tta_options(CLI::App& app, TtaOptions& options,
                     const std::function<CLI::Option*(CLI::Option*)>& wrap) {
  wrap(app.add_flag("--multi-scale", options.multi_scale,
                    "average six scales, 0.5 to 1.75 times the model's"));
  wrap(app.add_flag("--flip", options.flip, "average with the mirrored image"));
  wrap(app.add_flag("--sliding", options.sliding,
                    "run the network on overlapping windows instead of the whole image"));
  wrap(app.add_option("--crop", options.crop, "side of the windows in pixels (default 512)"))
      ->check(CLI::Range(1, 1 << 14))
      ->type_name("N");
  wrap(app.add_option("--stride", options.stride,
                      "pixels from window to window (default: two thirds of the crop)"))
      ->check(CLI::Range(1, 1 << 14))
      ->type_name("N");
  wrap(app.add_flag(
      "--full-size", options.full_size,
      "do not resize the image to the model's size first (large images: with --sliding)"));
}

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

std::string views_text(const segment::PredictOptions& predicting) {
  std::string text = predicting.multi_scale
                         ? fmt::format("{} scales", std::size(segment::kTtaScales))
                         : "one scale";
  if (predicting.flip) text += ", mirrored";
  if (predicting.full_size) text += ", full size";
  return text + (predicting.sliding
                     ? fmt::format(", windows of {} every {}", predicting.sliding->crop,
                                   predicting.sliding->stride)
                     : ", whole image");
}

}  // namespace asmlp::cli
