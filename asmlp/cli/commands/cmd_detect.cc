// asmlp detect: what is where on these images?
#include <algorithm>
#include <memory>

#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/dense/coco_files.h"
#include "asmlp/cli/dense/detection_files.h"
#include "asmlp/cli/dense/image_ids.h"
#include "asmlp/cli/dense/tile_options.h"
#include "asmlp/cli/draw/fonts_ahead.h"
#include "asmlp/cli/images/image_report.h"
#include "asmlp/cli/images/output_folder.h"
#include "asmlp/cli/options/bundled_model.h"
#include "asmlp/cli/options/dense_backend.h"
#include "asmlp/cli/options/dense_model.h"
#include "asmlp/cli/options/image_options.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/dataset/coco/detection_record.h"
#include "asmlp/detection/coco_detection.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/report/draw/detection_drawing.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct DetectOptions {
  std::vector<std::string> images;
  ModelOptions model;
  ImageOptions image;
  std::string backend;
  RunOptions run;
  std::string annotations;
  double threshold = 0.3;
  std::string folder = "detections";
  bool no_pictures = false;
  std::string coco_results;
  std::string yolo;
  bool yolo_scores = false;
  int batch_size = 1;
  std::string img_size;
  TileRequest tiles;
  ResultsOptions results;
  OutputOptions output;
};

class Reporter {
 public:
  Reporter(const DetectOptions& options, const NamedDetector& model, FontsAhead& fonts)
      : options_(options),
        fonts_(fonts),
        kind_(model.spec.config.kind),
        classes_(model.spec.classes),
        ids_(options.annotations, model.spec) {
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
    fonts_.wait();
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
  FontsAhead& fonts_;
  DetectorKind kind_;
  std::vector<std::string> classes_;
  ImageIds ids_;
  std::optional<OutputFolder> pictures_;
  std::optional<YoloFolder> yolo_;
  DetectionRows rows_;
  std::vector<CocoDetection> detections_;
};

// Images on their way through the network.
class DetectBatch {
 public:
  DetectBatch(ImageDetector& detector, const NamedDetector& model, Reporter& reporter,
              ImageReport& report, int size)
      : detector_(detector),
        gray_(model.spec.config.backbone.in_chans == 1),
        reporter_(reporter),
        report_(report),
        size_(static_cast<size_t>(size)) {}

  void add(const fs::path& file, int64_t position, Image image) {
    inputs_.push_back(gray_ ? to_gray(image) : std::move(image));
    if (gray_) colored_.push_back(std::move(image));
    sources_.push_back({file, position});
    if (inputs_.size() >= size_) flush();
  }

  // Runs what waits, and reports it.
  void flush() {
    for (size_t first = 0; first < inputs_.size();) {
      // After an error one by one: only the images that cause it fail.
      const size_t count = alone_ ? 1 : inputs_.size();
      try {
        auto found = detector_.detect(std::span<const Image>(inputs_).subspan(first, count));
        for (size_t i = 0; i < count; ++i) report(first + i, std::move(found[i]));
        first += count;
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kInterrupted) throw;
        if (count == 1) fail_one(first++, error);
        alone_ = true;
      }
    }
    alone_ = false;
    inputs_.clear();
    colored_.clear();
    sources_.clear();
  }

 private:
  struct Source {
    fs::path file;
    int64_t position;
  };

  void report(size_t i, std::vector<detect::Detection> found) {
    try {
      reporter_.add(report_, sources_[i].file, sources_[i].position,
                    gray_ ? colored_[i] : inputs_[i], std::move(found));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInterrupted) throw;
      fail_one(i, error);
    }
  }
  void fail_one(size_t i, const Error& error) {
    report_.add_failure(sources_[i].file.string(), error.code(), error.what());
  }

  ImageDetector& detector_;
  bool gray_;
  Reporter& reporter_;
  ImageReport& report_;
  size_t size_;
  bool alone_ = false;
  std::vector<Image> inputs_, colored_;  // the latter of a detector of gray images
  std::vector<Source> sources_;
};

int run_detect(const DetectOptions& options, const DenseBackend& backend) {
  check_coco_results(options.coco_results);
  check_results(options.results);
  const auto tiles = tile_options(options.tiles);
  const FoundImages found = find_images(options.images);
  FontsAhead fonts(!options.no_pictures && !found.files.empty());
  NamedDetector model = load_named_detector(options.model);
  if (model.bundled && !options.output.json) {
    print_note(known_classes(model.file, model.spec.name, model.spec.classes,
                             model.spec.config.num_classes));
  }
  set_input_size(model.spec.preprocessing, options.img_size);
  // One image alone needs no room for more.
  const int images = std::max(1, static_cast<int>(found.files.size()));
  const int max_batch = tiles ? options.batch_size : std::min(options.batch_size, images);
  const auto runner = backend.start_detector(model.spec, model.tensors,
                                             {.run = options.run, .max_batch = max_batch});
  model.tensors.clear();
  Reporter reporter(options, model, fonts);
  ImageReport report(
      "detect", options.output.json, found,
      {{"model",
        {{"name", model.spec.name}, {"file", model.file.string()}, {"bundled", model.bundled}}}});
  report.start(4);
  ImageDetector detector(*runner, model.spec, tiles, max_batch);
  DetectBatch batch(detector, model, reporter, report, tiles ? 1 : max_batch);
  for (int64_t i = 0; i < std::ssize(found.files); ++i) {
    const fs::path& file = found.files[static_cast<size_t>(i)];
    try {
      batch.add(file, i, reporter.read(file));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInterrupted) throw;
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
    "  asmlp detect aerial.tif --tiles 800 --tile-overlap 200\n"
    "  asmlp detect val2017/ --annotations instances_val2017.json --coco-results results "
    "--no-pictures";

}  // namespace

Command add_detect(CLI::App& program, const DenseBackend& backend, Arguments arguments) {
  auto options = std::make_shared<DetectOptions>();
  CLI::App* app = add_subcommand(program, "detect",
                                 "Find objects: boxes, classes and, with a model that has "
                                 "them, masks",
                                 kDetectFooter);
  app->add_option("images", options->images, kImagesHelp)->type_name("IMG")->required();
  add_model_options(*app, options->model);
  add_class_map_option(*app, options->model);
  add_image_options(*app, options->image, "apply");
  add_backend_option(*app, backend.name, options->backend, "Execution");
  add_run_options(*app, options->run);
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
  app->add_option(
         "-b,--batch-size", options->batch_size,
         "images (or tiles) per batch (default 1); only neighbors of one input size share a batch")
      ->check(CLI::Range(1, 256))
      ->type_name("N")
      ->group("Execution");
  add_tile_options(*app, options->tiles,
                   [](CLI::Option* option) { return option->group("Large images"); });
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
  return {app, [options, backend, arguments] {
            if (options->backend != backend.name) exec_torch("`--backend torch`", arguments);
            return run_detect(*options, backend);
          }};
}

}  // namespace asmlp::cli
