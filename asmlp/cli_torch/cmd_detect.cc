// asmlp detect: what is where on these images?
#include <algorithm>
#include <memory>

#include "asmlp/cli/draw/detection_drawing.h"
#include "asmlp/cli/images/image_report.h"
#include "asmlp/cli/images/output_folder.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli_torch/coco_files.h"
#include "asmlp/cli_torch/commands.h"
#include "asmlp/cli_torch/detector_model.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/coco/coco_classes.h"
#include "asmlp/dataset/coco/coco_image_index.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/report/table.h"
#include "asmlp/torch/data/dense_input.h"
#include "asmlp/torch/detect/evaluate.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct DetectOptions {
  std::vector<std::string> images;
  ModelOptions model;
  int threads = 0;
  std::string annotations;
  double threshold = 0.3;
  std::string folder = "detections";
  bool no_pictures = false;
  std::string coco_results;
  OutputOptions output;
};

// Ids of images and categories: those of an annotation file, or counted from 1.
class Ids {
 public:
  Ids(const DetectOptions& options, const DetectorSpec& spec)
      : from_file_(!options.annotations.empty()) {
    if (!from_file_) {
      coco_.categories = categories_of(spec.classes, spec.config.num_classes);
      return;
    }
    coco_ = read_coco(options.annotations);
    if (const std::string report = coco_.skips.report(); !report.empty()) {
      print_note(fmt::format("{}:\n{}", options.annotations, report));
    }
    for (const std::string& note :
         match_categories(coco_, spec.classes, spec.config.num_classes, options.annotations)) {
      print_note(note);
    }
    for (size_t i = 0; i < coco_.images.size(); ++i) {
      names_.add(local_name(coco_.images[i].file_name), static_cast<int>(i));
    }
  }

  // The index of this image, the `position`-th of the command line from 0. Error(kNotFound,
  // kMismatch) when the annotations have no such image, or one of another size.
  int add(const fs::path& file, int64_t position, const Image& image) {
    if (!from_file_) {
      coco_.images.push_back({position + 1, file.string(), image.height, image.width});
      return static_cast<int>(coco_.images.size()) - 1;
    }
    const auto found = names_.find(fs::absolute(file).lexically_normal().generic_string());
    require(found.has_value(), ErrorCode::kNotFound,
            "{}: is not in the annotations, or several of their images have this name",
            file.string());
    CocoImage& known = coco_.images[static_cast<size_t>(*found)];
    if (known.height == 0) {  // the file does not say it
      known.height = image.height;
      known.width = image.width;
    }
    require(known.height == image.height && known.width == image.width, ErrorCode::kMismatch,
            "{}: is {} x {}, the annotations say {} x {}", file.string(), image.height, image.width,
            known.height, known.width);
    return *found;
  }
  const CocoAnnotations& coco() const { return coco_; }

 private:
  bool from_file_;
  CocoAnnotations coco_;
  PathEnds names_;
};

class Reporter {
 public:
  Reporter(const DetectOptions& options, const LoadedDetector& model)
      : options_(options), classes_(model.spec.classes), ids_(options, model.spec) {
    if (!options.no_pictures) pictures_.emplace("--output", options.folder);
  }

  void add(ImageReport& report, const fs::path& file, int64_t position, const Image& image,
           std::vector<detect::Detection> found) {
    const int index = ids_.add(file, position, image);
    const fs::path picture = draw(file, image, found);
    Json entry{{"id", ids_.coco().images[static_cast<size_t>(index)].id},
               {"file", file.string()},
               {"height", image.height},
               {"width", image.width}};
    if (!picture.empty()) entry["picture"] = picture.string();
    Table table({{"label"},
                 {"score", Align::kRight},
                 {"box (x1 y1 x2 y2)", Align::kRight},
                 {"mask pixels", Align::kRight}});
    int64_t shown = 0;
    for (detect::Detection& d : found) {
      const std::string label = class_label(classes_, d.label);
      const int64_t area = mask_area(d.mask);
      if (d.score >= options_.threshold) {
        ++shown;
        table.add_row(
            {truncated(label, 40), fmt::format("{:.3f}", d.score),
             fmt::format("{:.0f} {:.0f} {:.0f} {:.0f}", d.box[0], d.box[1], d.box[2], d.box[3]),
             group_digits(area)});
      }
      detections_.push_back(detect::to_coco(std::move(d), index));
      Json record = coco_record(ids_.coco(), detections_.back());
      record["label"] = label;
      record["area"] = area;
      entry["detections"].push_back(std::move(record));
    }
    if (!entry.contains("detections")) entry["detections"] = Json::array();
    std::string text = fmt::format("{}  {} x {}, {} object{}\n", file.string(), image.width,
                                   image.height, shown, shown == 1 ? "" : "s");
    if (shown > 0) text += table.str(2);
    if (!picture.empty()) text += "  picture " + picture.string() + '\n';
    report.add(std::move(entry), text);
  }

  void write_results() const {
    write_coco_result_files(options_.coco_results, ids_.coco(), detections_);
  }

 private:
  fs::path draw(const fs::path& file, const Image& image,
                const std::vector<detect::Detection>& found) {
    if (!pictures_) return {};
    std::vector<DrawnObject> objects;
    for (const detect::Detection& d : found) {
      if (d.score >= options_.threshold) objects.push_back({d.box, d.score, d.label, &d.mask});
    }
    const fs::path path = pictures_->next(file) += ".png";
    write_detections(path, image, objects, classes_);
    return path;
  }

  const DetectOptions& options_;
  std::vector<std::string> classes_;
  Ids ids_;
  std::optional<OutputFolder> pictures_;
  std::vector<CocoDetection> detections_;
};

int run_detect(const DetectOptions& options) {
  check_coco_results(options.coco_results);
  const FoundImages found = find_images(options.images);
  LoadedDetector model = load_named_detector(options.model, options.threads);
  const bool gray = model.spec.config.backbone.in_chans == 1;
  Reporter reporter(options, model);
  ImageReport report(
      "detect", options.output.json, found,
      {{"model",
        {{"name", model.spec.name}, {"file", model.file.string()}, {"bundled", model.bundled}}}});
  report.start(4);
  for (int64_t i = 0; i < std::ssize(found.files); ++i) {
    const fs::path& file = found.files[static_cast<size_t>(i)];
    try {
      const Image image = decode_image(file);
      const data::TensorSample sample =
          data::test_sample(gray ? to_gray(image) : image, model.spec.preprocessing);
      reporter.add(report, file, i, image, detect::detect(*model.net, sample));
    } catch (const Error& error) {
      report.add_failure(file.string(), error.code(), error.what());
    }
  }
  return report.finish([&](const Json&) { reporter.write_results(); });
}

constexpr const char* kDetectFooter =
    "For every image a picture with the objects is written to the folder of --output. Pictures and "
    "tables show\n"
    "what scores at least --threshold; --json and --coco-results hold all that the model's own "
    "test "
    "threshold\n"
    "leaves. A file that cannot be read is named on standard error, the others are done, and the "
    "exit code is 1.\n"
    "Examples:\n"
    "  asmlp detect street.jpg\n"
    "  asmlp detect photos/ --model detector.safetensors --threshold 0.5 --output found/\n"
    "  asmlp detect photo.jpg --model mask_rcnn.pth --shift-size 5\n"
    "  asmlp detect val2017/ --annotations instances_val2017.json --coco-results results "
    "--no-pictures";

}  // namespace

Command add_detect(CLI::App& program) {
  auto options = std::make_shared<DetectOptions>();
  CLI::App* app =
      add_subcommand(program, "detect", "Find objects: boxes, classes and masks", kDetectFooter);
  app->add_option("images", options->images, "image files (JPEG, PNG, WebP), folders, globs")
      ->type_name("IMG")
      ->required();
  add_dense_model_options(*app, options->model, options->threads);
  app->add_option("--threshold", options->threshold,
                  "least score of what is drawn and printed (default 0.3)")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("X")
      ->group("Output");
  app->add_option("-o,--output", options->folder, "folder for the pictures")
      ->capture_default_str()
      ->type_name("DIR")
      ->group("Output");
  app->add_flag("--no-pictures", options->no_pictures, "write none")->group("Output");
  app->add_option(
         "--annotations", options->annotations,
         "COCO annotation file that gives the ids of images (by file name) and classes (by "
         "name); default: images and classes are counted from 1, COCO's classes have their ids")
      ->type_name("FILE")
      ->group("Output");
  add_coco_results_option(*app, options->coco_results);
  add_output_options(*app, options->output);
  return {app, [options] { return run_detect(*options); }};
}

}  // namespace asmlp::cli
