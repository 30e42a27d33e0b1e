// asmlp segment: of which class is every pixel of these images?
#include <memory>
#include <string>
#include <vector>

#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/draw/fonts_ahead.h"
#include "asmlp/cli/images/image_report.h"
#include "asmlp/cli/images/output_folder.h"
#include "asmlp/cli/options/bundled_model.h"
#include "asmlp/cli/options/dense_backend.h"
#include "asmlp/cli/options/dense_model.h"
#include "asmlp/cli/options/image_options.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/cli/options/tta_options.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/image/decode.h"
#include "asmlp/report/draw/segmentation_drawing.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct SegmentOptions {
  std::vector<std::string> images;
  std::string output = "segments";
  double opacity = 0.6;
  ModelOptions model;
  ImageOptions image;
  std::string backend;
  RunOptions run;
  std::string img_size;
  TtaOptions tta;
  ResultsOptions results;
  OutputOptions out;
};

// The areas of the classes: for people, for programs, and as lines of a CSV file.
struct Areas {
  std::string text, csv;
  Json json = Json::array();
};

Areas areas_of(const Image& labels, const std::vector<std::string>& classes, const fs::path& file) {
  Areas areas;
  Table table({{"class"}, {"area", Align::kRight}, {"pixels", Align::kRight}});
  for (const ClassArea& area : class_areas(labels)) {
    const std::string label = class_label(classes, area.index);
    areas.json.push_back(
        {{"index", area.index}, {"label", label}, {"pixels", area.pixels}, {"share", area.share}});
    areas.csv += csv_line({file.string(), std::to_string(area.index), label,
                           std::to_string(area.pixels), fmt::format("{}", area.share)});
    table.add_row({truncated(label, 40), fmt::format("{:.2f} %", 100 * area.share),
                   group_digits(area.pixels)});
  }
  areas.text = table.str(2);
  return areas;
}

// Segments, draws, and reports the images one after the other.
class Segmenting {
 public:
  Segmenting(const SegmentOptions& options, const segment::PredictOptions& predicting,
             const NamedSegmentor& model, SegmentorRunner& runner, FontsAhead& fonts,
             ImageReport& report)
      : options_(options),
        predicting_(predicting),
        spec_(model.spec),
        runner_(runner),
        fonts_(fonts),
        report_(report),
        folder_("--output", options.output),
        colors_(class_colors(spec_.config.num_classes, spec_.classes, spec_.palette)) {}

  void add(const fs::path& file) {
    const Image image =
        load_image(file, options_.image.decoding(Exif::kApply, PixelStyle::kOpenCv));
    const Image labels = runner_.segment(image, spec_.preprocessing, predicting_);
    const fs::path name = folder_.next(file);
    const fs::path overlay = fs::path(name) += ".segments.png";
    const fs::path index = fs::path(name) += ".labels.png";
    fonts_.wait();
    write_segmentation(overlay, image, labels, spec_.classes, colors_, options_.opacity);
    write_label_png(index, labels, colors_);
    Areas areas = areas_of(labels, spec_.classes, file);
    csv_ += areas.csv;
    report_.add({{"file", file.string()},
                 {"width", labels.width},
                 {"height", labels.height},
                 {"overlay", overlay.string()},
                 {"label_map", index.string()},
                 {"classes", std::move(areas.json)}},
                fmt::format("{}  {} x {}\n{}  overlay {}\n  labels {}\n", printable(file.string()),
                            labels.width, labels.height, areas.text, printable(overlay.string()),
                            printable(index.string())));
  }
  const std::string& csv() const { return csv_; }

 private:
  const SegmentOptions& options_;
  const segment::PredictOptions& predicting_;
  const SegmentorSpec& spec_;
  SegmentorRunner& runner_;
  FontsAhead& fonts_;
  ImageReport& report_;
  OutputFolder folder_;
  std::vector<Color> colors_;
  std::string csv_ = csv_line({"filename", "index", "label", "pixels", "share"});
};

int run_segment(const SegmentOptions& options, const DenseBackend& backend) {
  check_results(options.results);
  const segment::PredictOptions predicting = predict_options(options.tta);
  const FoundImages found = find_images(options.images);
  FontsAhead fonts(!found.files.empty());
  NamedSegmentor model = load_named_segmentor(options.model);
  if (model.bundled && !options.out.json) {
    print_note(known_classes(model.file, model.spec.name, model.spec.classes,
                             model.spec.config.num_classes));
  }
  set_input_size(model.spec.preprocessing, options.img_size);
  const auto runner = backend.start_segmentor(model.spec, model.tensors, {.run = options.run});
  model.tensors.clear();
  ImageReport report("segment", options.out.json, found,
                     {{"model",
                       {{"name", model.spec.name},
                        {"file", model.file.string()},
                        {"classes", model.spec.config.num_classes},
                        {"bundled", model.bundled}}},
                      {"views", views_text(predicting)}});
  Segmenting segmenting(options, predicting, model, *runner, fonts, report);
  report.start(4);
  for (const fs::path& file : found.files) {
    try {
      segmenting.add(file);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInterrupted) throw;
      report.add_failure(file.string(), error.code(), error.what());
    }
  }
  return report.finish([&](const Json& document) {
    write_results(options.results, segmenting.csv(), to_text(document));
  });
}

}  // namespace

Command add_segment(CLI::App& program, const DenseBackend& backend, Arguments arguments) {
  auto options = std::make_shared<SegmentOptions>();
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
  app->add_option("images", options->images, kImagesHelp)->type_name("IMG")->required();
  app->add_option("-o,--output", options->output, "folder for the pictures")
      ->capture_default_str()
      ->type_name("DIR")
      ->group("Output");
  app->add_option("--opacity", options->opacity, "of the colors over the image, 0..1 (default 0.6)")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("X")
      ->group("Output");
  add_model_options(*app, options->model);
  add_class_map_option(*app, options->model);
  add_image_options(*app, options->image, "apply");
  add_backend_option(*app, backend.name, options->backend, "Execution");
  add_run_options(*app, options->run);
  add_input_size_option(*app, options->img_size);
  add_tta_options(*app, options->tta,
                  [](CLI::Option* option) { return option->group("Test-time augmentation"); });
  add_results_options(*app, options->results);
  add_output_options(*app, options->out);
  return {app, [options, backend, arguments] {
            if (options->backend != backend.name) exec_torch("`--backend torch`", arguments);
            return run_segment(*options, backend);
          }};
}

}  // namespace asmlp::cli
