// asmlp segment: of which class is every pixel of these images?
#include <chrono>
#include <memory>

#include "asmlp/cli/console.h"
#include "asmlp/cli/find_images.h"
#include "asmlp/cli/options.h"
#include "asmlp/cli/output_folder.h"
#include "asmlp/cli/progress.h"
#include "asmlp/cli/segmentation_drawing.h"
#include "asmlp/cli/table.h"
#include "asmlp/cli_torch/commands.h"
#include "asmlp/cli_torch/segmentor_options.h"
#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> images;
  std::string output = ".";
  double opacity = 0.6;
  SegmentorOptions segmentor;
  ResultsOptions results;
  OutputOptions out;
};

// Text is printed at once, JSON and CSV at the end.
class Reporter {
 public:
  Reporter(const Options& options, const LoadedSegmentor& model)
      : options_(options), classes_(model.spec.classes) {
    json_["model"] = {{"name", model.spec.name},
                      {"file", model.file.string()},
                      {"classes", model.spec.config.num_classes},
                      {"bundled", model.bundled}};
    json_["views"] = describe(model.views);
    json_["images"] = Json::array();
    json_["failed"] = Json::array();
    csv_ = csv_line({"filename", "index", "label", "pixels", "share"});
  }

  void add(const fs::path& file, const Image& labels, const fs::path& overlay,
           const fs::path& index) {
    Json areas = Json::array();
    Table table({{"class"}, {"area", Align::kRight}, {"pixels", Align::kRight}});
    for (const ClassArea& area : class_areas(labels)) {
      const std::string label = class_label(classes_, area.index);
      areas.push_back({{"index", area.index},
                       {"label", label},
                       {"pixels", area.pixels},
                       {"share", area.share}});
      csv_ += csv_line({file.string(), std::to_string(area.index), label,
                        std::to_string(area.pixels), fmt::format("{}", area.share)});
      table.add_row({truncated(label, 40), fmt::format("{:.2f} %", 100 * area.share),
                     group_digits(area.pixels)});
    }
    if (!options_.out.json) {
      print_out(fmt::format("{}  {} x {}\n{}  overlay {}\n  labels {}\n", file.string(),
                            labels.width, labels.height, table.str(2), overlay.string(),
                            index.string()));
    }
    json_["images"].push_back({{"file", file.string()},
                               {"width", labels.width},
                               {"height", labels.height},
                               {"overlay", overlay.string()},
                               {"label_map", index.string()},
                               {"classes", std::move(areas)}});
  }

  void add_failure(const std::string& file, ErrorCode code, const std::string& message) {
    print_error(message);
    json_["failed"].push_back({{"file", file}, {"code", to_string(code)}, {"message", message}});
  }

  // Everything that is printed or written at the end; returns the exit code.
  int finish(double seconds) {
    const size_t images = json_["images"].size(), failed = json_["failed"].size();
    json_["seconds"] = seconds;
    write_results(options_.results, csv_, to_text(json_));
    if (options_.out.json) {
      print_json(json_);
    } else {
      print_note(fmt::format("{} image{} in {:.2f} s{}", images, images == 1 ? "" : "s", seconds,
                             failed > 0 ? fmt::format(", {} failed", failed) : ""));
    }
    return failed > 0 ? kExitFailed : kExitOk;
  }

 private:
  const Options& options_;
  std::vector<std::string> classes_;
  Json json_;
  std::string csv_;
};

void segment_one(const fs::path& file, LoadedSegmentor& model, const Options& options,
                 OutputFolder& folder, Reporter& reporter) {
  const Image image = decode_image(file);
  const Image labels = predict(*model.net, image, model.spec.preprocessing, model.views);
  const fs::path name = folder.next(file);
  const fs::path overlay = fs::path(name) += ".segments.png";
  const fs::path index = fs::path(name) += ".labels.png";
  write_segmentation(overlay, image, labels, model.spec.classes, options.opacity);
  write_label_png(index, labels, class_colours(model.spec.config.num_classes));
  reporter.add(file, labels, overlay, index);
}

int run(const Options& options) {
  check_results(options.results);
  const FoundImages found = find_images(options.images);
  LoadedSegmentor model = load_segmentor(options.segmentor);
  OutputFolder folder("--output", options.output);
  Reporter reporter(options, model);
  for (const auto& missing : found.missing) {
    reporter.add_failure(missing.argument, missing.code, missing.message);
  }
  const auto start = std::chrono::steady_clock::now();
  const auto total = static_cast<int64_t>(found.files.size());
  // Text on a terminal is progress enough.
  std::unique_ptr<Progress> progress;
  if (total > 8 && (options.out.json || !out_is_terminal())) {
    progress = std::make_unique<Progress>("segment", total, "images");
  }
  int64_t done = 0;
  for (const fs::path& file : found.files) {
    try {
      segment_one(file, model, options, folder, reporter);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInterrupted) throw;
      reporter.add_failure(file.string(), error.code(), error.what());
    }
    if (progress) progress->update(++done);
  }
  if (progress) progress->finish();
  return reporter.finish(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

}  // namespace

Command add_torch_segment(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* app = add_subcommand(
      program, "segment", "Tell the class of every pixel of images",
      "For each image NAME.segments.png (the classes over the image, with a legend) and\n"
      "NAME.labels.png (the class of every pixel as palette index) are written.\n"
      "A file that cannot be read is named on standard error, the others are done, and the exit\n"
      "code is 1.\n"
      "Examples:\n"
      "  asmlp segment photo.jpg --output out/\n"
      "  asmlp segment photos/ --model upernet.safetensors --multi-scale --flip --json\n"
      "  asmlp segment aerial.png --model upernet.safetensors --sliding --full-size");
  app->add_option("images", options->images, "image files (JPEG, PNG, WebP), folders, globs")
      ->type_name("IMG")
      ->required();
  app->add_option("-o,--output", options->output,
                  "folder for the pictures (default: the current one)")
      ->type_name("DIR")
      ->group("Output");
  app->add_option("--opacity", options->opacity,
                  "of the colours over the image, 0..1 (default 0.6)")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("X")
      ->group("Output");
  add_segmentor_options(*app, options->segmentor);
  add_results_options(*app, options->results);
  add_output_options(*app, options->out);
  return {app, [options] { return run(*options); }};
}

}  // namespace asmlp::cli
