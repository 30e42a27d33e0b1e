#include "asmlp/cli_torch/detector_model.h"

#include "asmlp/cli/console.h"
#include "asmlp/cli/model_task.h"
#include "asmlp/cli/options.h"
#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/coco.h"
#include "asmlp/torch/nn/conv_module.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/torch/nn/runtime.h"

namespace asmlp::cli {

namespace fs = std::filesystem;

void add_detector_options(CLI::App& app, DetectorOptions& options) {
  app.add_option("-m,--model", options.model,
                 "weight file of a detector (.safetensors, or the authors' .pth); default: the "
                 "bundled detector")
      ->type_name("FILE")
      ->group("Model");
  app.add_option("--arch", options.arch,
                 "architecture of a .pth file: a name (mask_rcnn_asmlp_tiny, "
                 "cascade_asmlp_base, ...) or a JSON file")
      ->type_name("NAME|FILE")
      ->group("Model");
  app.add_option("--shift-size", options.shift_size,
                 "shift positions of a .pth file, which weights do not show (published ones: 5)")
      ->type_name("N|H,W")
      ->group("Model");
  app.add_option("-j,--threads", options.threads, "threads; 0 takes every usable core (default)")
      ->check(CLI::Range(0, 256))
      ->type_name("N")
      ->group("Execution");
}

detect::DetectorSpec named_detector(const std::string& name) {
  std::error_code ignored;
  return fs::is_regular_file(name, ignored) ? detect::detector_from_json(read_file(name), name)
                                            : detect::zoo_detector(name);
}

LoadedDetector load_named_detector(const DetectorOptions& options) {
  LoadedDetector loaded;
  detect::DetectorLoadOptions load;
  if (!options.arch.empty()) load.spec = named_detector(options.arch);
  if (!options.shift_size.empty()) load.shift_size = parse_shift_size(options.shift_size);
  loaded.bundled = options.model.empty();
  loaded.file = loaded.bundled ? bundled_model(ModelTask::kDetect) : fs::path(options.model);
  if (loaded.bundled) print_note("using the bundled detector " + loaded.file.string());
  loaded.threads = nn::configure_runtime(options.threads);
  detect::DetectorFile file = detect::load_detector(loaded.file, load);
  loaded.spec = std::move(file.spec);
  loaded.net = file.net;
  loaded.parameters = nn::parameter_count(*loaded.net);
  nn::fold_batch_norm(*loaded.net);
  const int channels = loaded.spec.config.backbone.in_chans;
  require(channels == 1 || channels == 3, ErrorCode::kUnsupported,
          "{}: the detector takes {} channels, image files have 1 or 3", loaded.file.string(),
          channels);
  const auto coco = coco_categories();
  if (loaded.spec.classes.empty() &&
      loaded.spec.config.num_classes == static_cast<int>(coco.size())) {
    for (const CocoCategory& category : coco) loaded.spec.classes.push_back(category.name);
  }
  return loaded;
}

}  // namespace asmlp::cli
