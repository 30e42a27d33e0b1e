// asmlp dataset scenes: a data set for detection and segmentation, made of small grey items.
#include <charconv>
#include <memory>
#include <string_view>
#include <tuple>
#include <utility>

#include "asmlp/cli/console.h"
#include "asmlp/cli/dataset_commands.h"
#include "asmlp/cli/options.h"
#include "asmlp/cli/progress.h"
#include "asmlp/cli/table.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/scenes.h"

namespace asmlp::cli {
namespace {

struct Options {
  std::string items = "/usr/share/datasets/fashion-mnist";
  std::string output;
  std::string size = "160";
  std::string range = "1,6";
  bool no_flips = false;
  ScenesOptions scenes;
  OutputOptions output_options;
};

// "A" or "A<separator>B"; one number stands for both.
std::pair<int, int> parse_pair(const std::string& option, std::string_view text, char separator) {
  const auto number = [&](std::string_view digits) {
    int value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    require(error == std::errc() && end == digits.data() + digits.size(),
            ErrorCode::kInvalidArgument, "{} '{}': expected N or N{}N", option, text, separator);
    return value;
  };
  const size_t at = text.find(separator);
  const int first = number(text.substr(0, at));
  return {first, at == std::string_view::npos ? first : number(text.substr(at + 1))};
}

Json describe(const ScenesReport::OfSplit& split) {
  return {{"images", split.images},
          {"objects", split.objects},
          {"hidden", split.hidden},
          {"empty", split.empty}};
}

int run(Options& options) {
  SceneOptions& scene = options.scenes.scene;
  std::tie(scene.height, scene.width) = parse_pair("--size", options.size, 'x');
  std::tie(scene.min_items, scene.max_items) = parse_pair("--items", options.range, ',');
  if (options.no_flips) scene.flips = SceneFlips::kNone;
  Progress progress("scenes", options.scenes.train + options.scenes.val, "images");
  const ScenesReport report = write_scenes(options.items, options.output, options.scenes,
                                           [&](int64_t done) { progress.update(done); });
  progress.finish();
  if (options.output_options.json) {
    print_json({{"output", options.output},
                {"height", scene.height},
                {"width", scene.width},
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
  print_out(fmt::format("{}: {} classes, in COCO's and ADE20K's formats\n", options.output,
                        report.classes.size()));
  return kExitOk;
}

}  // namespace

Command add_dataset_scenes(CLI::App& dataset) {
  auto options = std::make_shared<Options>();
  CLI::App* app = add_subcommand(
      dataset, "scenes", "Make a detection and segmentation data set out of Fashion-MNIST",
      "Images of several items, scaled, coloured and overlapping, on busy backgrounds, with boxes\n"
      "and masks in COCO's format and label maps in ADE20K's. The same options give the same\n"
      "bytes. The folder must not exist yet and appears when it is complete.\n"
      "Examples:\n"
      "  asmlp dataset scenes --output out/scenes\n"
      "  asmlp dataset scenes mnist/ --output out/digits --train 1000 --val 100 --size 96x128");
  app->add_option("folder", options->items,
                  "IDX files of grey items, both splits (default: " + options->items + ")")
      ->type_name("FOLDER");
  app->add_option("-o,--output", options->output, "folder, new")->type_name("DIR")->required();
  app->add_option("--train", options->scenes.train, "training images (default 4000)")
      ->check(CLI::Range(1, 1000000))
      ->type_name("N");
  app->add_option("--val", options->scenes.val, "validation images (default 500)")
      ->check(CLI::Range(1, 1000000))
      ->type_name("N");
  app->add_option("--size", options->size, "pixels, height x width, 32 to 2048 (default 160)")
      ->type_name("N|HxW");
  app->add_option("--items", options->range,
                  "fewest and most items in an image, up to 100 (default 1,6)")
      ->type_name("N|MIN,MAX");
  app->add_flag("--no-flips", options->no_flips, "do not mirror every second item");
  app->add_option("--seed", options->scenes.seed, "of everything random (default 0)")
      ->type_name("N");
  app->add_option("--threads", options->scenes.threads, "threads (default: all cores)")
      ->check(CLI::Range(0, 256))
      ->type_name("N");
  add_output_options(*app, options->output_options);
  return {app, [options] { return run(*options); }};
}

}  // namespace asmlp::cli
