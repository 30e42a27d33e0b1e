// asmlp detect: what is where on these images?
#include <algorithm>
#include <memory>

#include "asmlp/cli/images/image_report.h"
#include "asmlp/cli/images/output_folder.h"
#include "asmlp/cli/options/image_options.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli_torch/coco_files.h"
#include "asmlp/cli_torch/commands.h"
#include "asmlp/cli_torch/detection_files.h"
#include "asmlp/cli_torch/detector_model.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/dataset/coco/coco_classes.h"
#include "asmlp/dataset/coco/coco_image_index.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/report/draw/detection_drawing.h"
#include "asmlp/report/table.h"
#include "asmlp/torch/data/dense_input.h"
#include "asmlp/torch/detect/evaluate.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct DetectOptions {
  std::vector<std::string> images;
  ModelOptions model;
  ImageOptions image;
  int threads = 0;
  std::string annotations;
  double threshold = 0.3;
  std::string folder = "detections";
  bool no_pictures = false;
  std::string coco_results;
  std::string yolo;
  bool yolo_scores = false;
  int batch_size = 1;
  std::string img_size;
  ResultsOptions results;
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
    const auto found = names_.find(key_of(file));
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

  // What the annotations say of this image; null where there are none or they do not have it.
  const CocoImage* find(const fs::path& file) const {
    const std::optional<int> found = names_.find(key_of(file));
    return found ? &coco_.images[static_cast<size_t>(*found)] : nullptr;
  }

 private:
  static std::string key_of(const fs::path& file) {
    return fs::absolute(file).lexically_normal().generic_string();
  }

  bool from_file_;
  CocoAnnotations coco_;
  PathEnds names_;
};

class Reporter {
 public:
  Reporter(const DetectOptions& options, const LoadedDetector& model)
      : options_(options),
        kind_(model.spec.config.kind),
        classes_(model.spec.classes),
        ids_(options, model.spec) {
    if (!options.no_pictures) pictures_.emplace("--output", options.folder);
    if (!options.yolo.empty()) {
      yolo_.emplace(options.yolo, classes_, model.spec.config.num_classes, options.threshold,
                    options.yolo_scores);
    }
  }

  // The pixels, turned upright unless the annotations are of the stored ones.
  Image read(const fs::path& file) const {
    const DecodeOptions decoding = options_.image.decoding(Exif::kApply, PixelStyle::kOpenCv);
    const CocoImage* known = ids_.find(file);
    return known == nullptr ? load_image(file, decoding)
                            : decode_labeled_image(file, known->height, known->width, decoding);
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
    rows_.add(file, found, classes_);
    if (yolo_) entry["yolo"] = yolo_->write(file, image.height, image.width, found).string();
    std::vector<Column> columns{
        {"label"}, {"score", Align::kRight}, {"box (x1 y1 x2 y2)", Align::kRight}};
    if (has_masks(kind_)) columns.push_back({"mask pixels", Align::kRight});
    Table table(columns);
    int64_t shown = 0;
    for (detect::Detection& d : found) {
      const std::string label = class_label(classes_, d.label);
      const int64_t area = mask_area(d.mask);
      if (d.score >= options_.threshold) {
        ++shown;
        std::vector<std::string> row{
            truncated(label, 40), fmt::format("{:.3f}", d.score),
            fmt::format("{:.0f} {:.0f} {:.0f} {:.0f}", d.box[0], d.box[1], d.box[2], d.box[3])};
        if (has_masks(kind_)) row.push_back(group_digits(area));
        table.add_row(row);
      }
      detections_.push_back(detect::to_coco(std::move(d), index));
      Json record = coco_record(ids_.coco(), detections_.back());
      record["label"] = label;
      if (has_masks(kind_)) record["area"] = area;
      entry["detections"].push_back(std::move(record));
    }
    if (!entry.contains("detections")) entry["detections"] = Json::array();
    std::string text = fmt::format("{}  {} x {}, {} object{}\n", printable(file.string()),
                                   image.width, image.height, shown, shown == 1 ? "" : "s");
    if (shown > 0) text += table.str(2);
    if (!picture.empty()) text += "  picture " + printable(picture.string()) + '\n';
    report.add(std::move(entry), text);
  }

  void write_results(const Json& document) const {
    write_coco_result_files(options_.coco_results, kind_, ids_.coco(), detections_);
    cli::write_results(options_.results, rows_.csv(), to_text(document));
  }

 private:
  fs::path draw(const fs::path& file, const Image& image,
                const std::vector<detect::Detection>& found) {
    if (!pictures_) return {};
    std::vector<DrawnObject> objects;
    for (const detect::Detection& d : found) {
      const MaskRle* mask = has_masks(kind_) ? &d.mask : nullptr;
      if (d.score >= options_.threshold) objects.push_back({d.box, d.score, d.label, mask});
    }
    const fs::path path = pictures_->next(file) += ".png";
    write_detections(path, image, objects, classes_);
    return path;
  }

  const DetectOptions& options_;
  DetectorKind kind_;
  std::vector<std::string> classes_;
  Ids ids_;
  std::optional<OutputFolder> pictures_;
  std::optional<YoloFolder> yolo_;
  DetectionRows rows_;
  std::vector<CocoDetection> detections_;
};

// Images on their way through the network: those that follow one another and have the same input
// size share a batch. Others do not, because padding would change what the network's norms see.
class DetectBatch {
 public:
  DetectBatch(LoadedDetector& model, Reporter& reporter, ImageReport& report, int size)
      : model_(model), reporter_(reporter), report_(report), size_(static_cast<size_t>(size)) {}

  void add(const fs::path& file, int64_t position, Image image, data::TensorSample sample) {
    if (!images_.empty() && images_.front().sample.image.sizes() != sample.image.sizes()) flush();
    images_.push_back({file, position, std::move(image), std::move(sample)});
    if (images_.size() >= size_) flush();
  }

  // Runs what waits, and reports it.
  void flush() {
    if (images_.empty()) return;
    std::vector<torch::Tensor> inputs;
    std::vector<data::ImageInfo> infos;
    for (const Waiting& one : images_) {
      inputs.push_back(one.sample.image);
      infos.push_back(one.sample.info);
    }
    std::vector<std::vector<detect::Detection>> found;
    for (size_t i = 0; i < images_.size(); ++i) {
      const Waiting& one = images_[i];
      try {
        if (found.empty()) found = detect::detect(*model_.net, torch::stack(inputs), infos);
        reporter_.add(report_, one.file, one.position, one.image, std::move(found[i]));
      } catch (const Error& error) {
        report_.add_failure(one.file.string(), error.code(), error.what());
      }
    }
    images_.clear();
  }

 private:
  struct Waiting {
    fs::path file;
    int64_t position;
    Image image;
    data::TensorSample sample;
  };
  LoadedDetector& model_;
  Reporter& reporter_;
  ImageReport& report_;
  size_t size_;
  std::vector<Waiting> images_;
};

int run_detect(const DetectOptions& options) {
  check_coco_results(options.coco_results);
  check_results(options.results);
  const FoundImages found = find_images(options.images);
  LoadedDetector model = load_named_detector(options.model, options.threads);
  set_input_size(model.spec.preprocessing, options.img_size);
  const bool gray = model.spec.config.backbone.in_chans == 1;
  Reporter reporter(options, model);
  ImageReport report(
      "detect", options.output.json, found,
      {{"model",
        {{"name", model.spec.name}, {"file", model.file.string()}, {"bundled", model.bundled}}}});
  report.start(4);
  DetectBatch batch(model, reporter, report, options.batch_size);
  for (int64_t i = 0; i < std::ssize(found.files); ++i) {
    const fs::path& file = found.files[static_cast<size_t>(i)];
    try {
      Image image = reporter.read(file);
      data::TensorSample sample =
          data::test_sample(gray ? to_gray(image) : image, model.spec.preprocessing);
      batch.add(file, i, std::move(image), std::move(sample));
    } catch (const Error& error) {
      batch.flush();
      report.add_failure(file.string(), error.code(), error.what());
    }
  }
  batch.flush();
  return report.finish([&](const Json& document) { reporter.write_results(document); });
}

constexpr const char* kDetectFooter =
    "For every image a picture with the objects is written to the folder of --output. Pictures and "
    "tables show\n"
    "what scores at least --threshold; --json and --coco-results hold all that the model's own "
    "test "
    "threshold\n"
    "leaves, --results-file, too. A file that cannot be read is named on standard error, the "
    "others are done, and the "
    "exit code is 1.\n"
    "Examples:\n"
    "  asmlp detect street.jpg\n"
    "  asmlp detect photos/ --model detector.safetensors --threshold 0.5 --output found/\n"
    "  asmlp detect photo.jpg --model mask_rcnn.pth --shift-size 5\n"
    "  asmlp detect video/ --batch-size 8 --no-pictures --results-file found.csv --yolo labels/\n"
    "  asmlp detect val2017/ --annotations instances_val2017.json --coco-results results "
    "--no-pictures";

}  // namespace

Command add_detect(CLI::App& program) {
  auto options = std::make_shared<DetectOptions>();
  CLI::App* app = add_subcommand(program, "detect",
                                 "Find objects: boxes, classes and, with a model that has "
                                 "them, masks",
                                 kDetectFooter);
  app->add_option("images", options->images, kImagesHelp)->type_name("IMG")->required();
  add_dense_model_options(*app, options->model, options->threads);
  add_image_options(*app, options->image, "apply");
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
  add_input_size_option(*app, options->img_size);
  app->add_option("-b,--batch-size", options->batch_size,
                  "images per batch (default 1); only neighbors of one input size share a batch")
      ->check(CLI::Range(1, 256))
      ->type_name("N")
      ->group("Execution");
  add_coco_results_option(*app, options->coco_results);
  CLI::Option* yolo =
      app->add_option(
             "--yolo", options->yolo,
             "write YOLO's text files to this folder: a line CLASS CX CY W H per object of "
             "at least --threshold, and classes.txt")
          ->type_name("DIR")
          ->group("Output");
  app->add_flag("--yolo-scores", options->yolo_scores, "add the score to the lines of --yolo")
      ->needs(yolo)
      ->group("Output");
  add_results_options(*app, options->results);
  add_output_options(*app, options->output);
  return {app, [options] { return run_detect(*options); }};
}

}  // namespace asmlp::cli
