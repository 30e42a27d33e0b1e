#include "asmlp/cli_torch/dense_model.h"

#include "asmlp/dataset/ade20k/ade20k.h"
#include "asmlp/dataset/coco/coco.h"

namespace asmlp::cli {

void add_dense_model_options(CLI::App& app, DenseModelOptions& options, const std::string& kind) {
  const std::string group = "Model";
  app.add_option("-m,--model", options.model,
                 kind +
                     " (.safetensors, or an official .pth with --shift-size); default: the "
                     "bundled one")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--arch", options.arch,
                 "architecture of an official file, when it is none of the published ones: a name, "
                 "or a JSON or YAML file")
      ->type_name("NAME|FILE")
      ->group(group);
  app.add_option("--shift-size", options.shift_size,
                 "shift positions of an official file, whose weights do not show them (published "
                 "ones: 5)")
      ->type_name("N|H,W")
      ->group(group);
  app.add_option("--class-map,--classes", options.class_map,
                 "text file with one class name per line")
      ->type_name("FILE")
      ->group(group);
  app.add_option("-j,--threads", options.threads, "threads; 0 takes every usable core (default)")
      ->check(CLI::Range(0, 256))
      ->type_name("N")
      ->group("Execution");
}

std::vector<std::string> usual_classes(const DetectorSpec&) {
  std::vector<std::string> names;
  for (const CocoCategory& category : coco_categories()) names.push_back(category.name);
  return names;
}

std::vector<std::string> usual_classes(const SegmentorSpec&) {
  std::vector<std::string> names;
  for (const SegmentationClass& known : ade20k_classes()) names.push_back(known.name);
  return names;
}

}  // namespace asmlp::cli
