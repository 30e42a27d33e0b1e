// asmlp dataset scenes: a data set for detection and segmentation, made of small gray items.
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "asmlp/cli/commands/dataset_commands.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/options/parse_pair.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/core/printable.h"
#include "asmlp/dataset/synthetic/scenes.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

struct DatasetScenesOptions {
  std::string items = "/usr/share/datasets/fashion-mnist";
  std::string output;
  // Where they are given, in the place of what `scenes` has.
  std::optional<std::string> size, range, train_range;
  std::optional<std::vector<double>> scale;
  bool no_flips = false;
  ScenesOptions scenes;
  OutputOptions output_options;
};

Json describe(const ScenesReport::OfSplit& split) {
  return {{"images", split.images},
          {"objects", split.objects},
          {"hidden", split.hidden},
          {"empty", split.empty}};
}

int run_dataset_scenes(DatasetScenesOptions& options) {
  SceneOptions& scene = options.scenes.scene;
  if (options.size) std::tie(scene.height, scene.width) = parse_pair("--size", *options.size, 'x');
  if (options.range) {
    std::tie(scene.min_items, scene.max_items) = parse_pair("--items", *options.range, ',');
  }
  if (options.train_range) {
    options.scenes.train_items = parse_pair("--train-items", *options.train_range, ',');
  }
  if (options.scale) {
    scene.min_scale = (*options.scale)[0];
    scene.max_scale = (*options.scale)[1];
  }
  if (options.no_flips) scene.flips = SceneFlips::kNone;
  Progress progress("scenes", options.scenes.train + options.scenes.val, "images");
  const ScenesReport report = write_scenes(options.items, options.output, options.scenes,
                                           [&](int64_t done) { progress.update(done); });
  progress.finish();
  if (options.output_options.json) {
    print_json({{"output", options.output},
                {"height", scene.height},
                {"width", scene.width},
                {"crops", options.scenes.crops},
                {"classes", report.classes},
                {"train", describe(report.splits[0])},
                {"val", describe(report.splits[1])}});
    return kExitOk;
  }
  for (size_t i = 0; i < 2; ++i) {
    const ScenesReport::OfSplit& split = report.splits[i];
    print_out(fmt::format("{}: {} images, {} objects; {} items too hidden to be kept\n",
                          i == 0 ? "train" : "val", group_digits(split.images),
                          group_digits(split.objects), group_digits(split.hidden)));
  }
  print_out(fmt::format("{}: {} classes, in COCO's and ADE20K's formats{}\n",
                        printable(options.output), report.classes.size(),
                        options.scenes.crops > 0 ? "; the items alone in crops/" : ""));
  return kExitOk;
}

}  // namespace

Command add_dataset_scenes(CLI::App& dataset) {
  auto options = std::make_shared<DatasetScenesOptions>();
  const ScenesOptions& defaults = options->scenes;
  const SceneOptions& scene = defaults.scene;
  CLI::App* app = add_subcommand(
      dataset, "scenes", "Make a detection and segmentation data set out of Fashion-MNIST",
      "Images of several items, scaled, colored and overlapping, on busy backgrounds, with boxes\n"
      "and masks in COCO's format and label maps in ADE20K's. The same options give the same\n"
      "bytes. The folder must not exist yet and appears when it is complete.\n"
      "Examples:\n"
      "  asmlp dataset scenes --output out/scenes\n"
      "  asmlp dataset scenes mnist/ --output out/digits --train 1000 --val 100 --size 96x128");
  app->add_option("folder", options->items,
                  "IDX files of gray items, both splits (default: " + options->items + ")")
      ->type_name("FOLDER");
  app->add_option("-o,--output", options->output, "folder, new")->type_name("DIR")->required();
  app->add_option("--train", options->scenes.train,
                  fmt::format("training images (default {})", defaults.train))
      ->check(CLI::Range(1, 1000000))
      ->type_name("N");
  app->add_option("--val", options->scenes.val,
                  fmt::format("validation images (default {})", defaults.val))
      ->check(CLI::Range(1, 1000000))
      ->type_name("N");
  app->add_option("--size", options->size,
                  fmt::format("pixels, height x width, 32 to 2048 (default {}x{})", scene.height,
                              scene.width))
      ->type_name("N|HxW");
  app->add_option("--items", options->range,
                  fmt::format("fewest and most items in an image, up to 100 (default {},{})",
                              scene.min_items, scene.max_items))
      ->type_name("N|MIN,MAX");
  app->add_option("--train-items", options->train_range,
                  "the same for the training images alone (default: as --items)")
      ->type_name("N|MIN,MAX");
  app->add_option("--scale", options->scale,
                  fmt::format("smallest and largest scale of an item, 0.1 to 10 (default {},{})",
                              scene.min_scale, scene.max_scale))
      ->delimiter(',')
      ->expected(2)
      ->type_name("MIN,MAX");
  app->add_option("--visible", options->scenes.scene.min_visible,
                  fmt::format("part of an item that must be seen, 0 to 1; others are left out "
                              "(default {})",
                              scene.min_visible))
      ->type_name("SHARE");
  app->add_option("--clutter", options->scenes.scene.clutter,
                  fmt::format("contrast of the background: 0 plain, 1 as strong as the items' "
                              "(default {})",
                              scene.clutter))
      ->type_name("SHARE");
  app->add_flag("--no-flips", options->no_flips, "do not mirror every second item");
  app->add_option("--crops", options->scenes.crops,
                  "also write each item as a picture of N x N pixels, 8 to 512, in crops/, an\n"
                  "ImageFolder for classifiers (default: none)")
      ->type_name("N");
  app->add_option("--seed", options->scenes.seed, "of everything random (default 0)")
      ->type_name("N");
  app->add_option("-j,--threads", options->scenes.threads, "threads (default: all cores)")
      ->check(CLI::Range(0, 256))
      ->type_name("N");
  add_output_options(*app, options->output_options);
  return {app, [options] { return run_dataset_scenes(*options); }};
}

}  // namespace asmlp::cli
