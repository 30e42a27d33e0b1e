#include "asmlp/cli_torch/segmentor_options.h"

#include <algorithm>

#include "asmlp/cli/console.h"
#include "asmlp/cli/model_task.h"
#include "asmlp/cli/options.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/ade20k.h"
#include "asmlp/metrics/segmentation.h"
#include "asmlp/torch/nn/conv_module.h"
#include "asmlp/torch/nn/runtime.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

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

void name_classes(const SegmentorOptions& options, LoadedSegmentor& loaded) {
  std::vector<std::string>& classes = loaded.spec.classes;
  const auto count = static_cast<size_t>(loaded.spec.config.num_classes);
  if (!options.class_map.empty()) {
    classes = read_class_map(options.class_map);
    require(classes.size() == count, ErrorCode::kMismatch,
            "{} names {} classes, the model {} has {}", options.class_map, classes.size(),
            loaded.file.string(), count);
  } else if (classes.empty() && count == ade20k_classes().size()) {
    for (const SegmentationClass& known : ade20k_classes()) classes.push_back(known.name);
  }
}

}  // namespace

void add_segmentor_options(CLI::App& app, SegmentorOptions& options) {
  const std::string model = "Model", views = "Views";
  app.add_option("-m,--model", options.model,
                 "segmentor (.safetensors, or an official .pth with --arch and --shift-size); "
                 "default: the bundled one")
      ->type_name("FILE")
      ->group(model);
  app.add_option("--arch", options.arch,
                 "architecture of an official file: upernet_asmlp_tiny, ...")
      ->type_name("NAME")
      ->group(model);
  app.add_option("--shift-size", options.shift_size,
                 "shift positions of an official file, whose weights do not show them")
      ->type_name("N|H,W")
      ->group(model);
  app.add_option("--class-map,--classes", options.class_map,
                 "text file with one class name per line")
      ->type_name("FILE")
      ->group(model);
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
  app.add_option("-j,--threads", options.threads, "threads; 0 takes every usable core (default)")
      ->check(CLI::Range(0, 256))
      ->type_name("N")
      ->group("Execution");
}

LoadedSegmentor load_segmentor(const SegmentorOptions& options) {
  LoadedSegmentor loaded;
  loaded.views = options.views;
  loaded.views.sliding = sliding_of(options);
  segment::SegmentorLoadOptions load;
  if (!options.arch.empty()) load.spec = segment::zoo_segmentor(options.arch);
  if (!options.shift_size.empty()) load.shift_size = parse_shift_size(options.shift_size);
  loaded.bundled = options.model.empty();
  loaded.file = loaded.bundled ? bundled_model(ModelTask::kSegment) : fs::path(options.model);
  loaded.threads = nn::configure_runtime(options.threads);
  segment::SegmentorFile file = segment::load_segmentor(loaded.file, load);
  loaded.spec = std::move(file.spec);
  loaded.net = file.net;
  require(loaded.spec.config.backbone.in_chans == 3, ErrorCode::kUnsupported,
          "{}: the model takes {} channels, images are read as RGB", loaded.file.string(),
          loaded.spec.config.backbone.in_chans);
  require(loaded.spec.config.num_classes <= kIgnoredLabel, ErrorCode::kUnsupported,
          "{}: the model has {} classes, label maps hold at most {}", loaded.file.string(),
          loaded.spec.config.num_classes, kIgnoredLabel);
  if (loaded.bundled) print_note("using the bundled model " + loaded.file.string());
  loaded.parameters = nn::parameter_count(*loaded.net);
  nn::fold_batch_norm(*loaded.net);
  name_classes(options, loaded);
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
