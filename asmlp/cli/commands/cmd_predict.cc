// asmlp predict: what is on these images?
#include <algorithm>
#include <memory>
#include <optional>
#include <span>

#include "asmlp/api/batch_runner.h"
#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/draw/cam.h"
#include "asmlp/cli/draw/predict_sheet.h"
#include "asmlp/cli/images/image_report.h"
#include "asmlp/cli/images/output_folder.h"
#include "asmlp/cli/options/bundled_model.h"
#include "asmlp/cli/options/image_options.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/core/printable.h"
#include "asmlp/image/decode.h"
#include "asmlp/metrics/topk.h"
#include "asmlp/model/origin_number.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct PredictOptions {
  std::vector<std::string> images;
  ModelOptions model;
  PreprocessingOptions preprocessing;
  ImageOptions image;
  RunOptions run;
  ResultsOptions results;
  OutputOptions output;
  int topk = 5;
  int batch_size = 8;
  std::string cam;
  std::string sheet;
};

// Writes the heat-maps of --cam, each under a name of its own.
class CamWriter {
 public:
  CamWriter(const fs::path& folder, const Checkpoint& checkpoint)
      : folder_("--cam", folder),
        classes_(checkpoint.spec.classes),
        channels_(static_cast<size_t>(checkpoint.spec.config.num_features())),
        stride_(checkpoint.spec.config.patch_size << (checkpoint.spec.config.num_stages() - 1)),
        weight_(to_f32(checkpoint.tensors.at("head.weight"))),
        bias_(to_f32(checkpoint.tensors.at("head.bias"))) {}

  // The map of class `index` over the image in `slot` of the batch that the engine has just run.
  fs::path write(const fs::path& file, const Engine& engine, int slot, const Image& image,
                 int index, float probability) {
    const MapSize size = engine.final_map_size();
    const size_t length = static_cast<size_t>(size.h) * static_cast<size_t>(size.w) * channels_;
    const size_t row = static_cast<size_t>(index);
    CamPicture picture;
    picture.image = image;
    picture.map = class_activation_map(
        engine.final_map().subspan(static_cast<size_t>(slot) * length, length), size,
        std::span(weight_).subspan(row * channels_, channels_), bias_[row]);
    picture.stride = stride_;
    picture.label = class_label(classes_, index);
    picture.probability = probability;
    picture.file = file.string();
    const fs::path path = folder_.next(file) += ".cam.png";
    write_cam(path, picture);
    return path;
  }

 private:
  OutputFolder folder_;
  std::vector<std::string> classes_;
  size_t channels_;
  int stride_;
  std::vector<float> weight_;
  std::vector<float> bias_;
};

// The classes of images in every form that can be asked for.
class Predictions {
 public:
  explicit Predictions(const ModelSpec& spec)
      : typical_score_(origin_number(spec.origin, kTypicalScoreKey)) {
    csv_ = csv_line({"filename", "rank", "index", "label", "prob"});
    for (int i = 0; i < spec.config.num_classes; ++i) {
      label_width_ = std::max(label_width_, display_width(printable(class_label(spec.classes, i))));
    }
    label_width_ = std::min(label_width_, 40);
  }

  struct Prediction {
    int index;
    std::string label;
    float probability;
  };

  // Whether a calibrated model gives its first class a lower score than usual.
  bool unsure(float score) const {
    return typical_score_ && !(score >= *typical_score_);
  }  // NaN, too

  void add(ImageReport& report, const fs::path& file, const std::vector<Prediction>& predictions,
           const fs::path& cam) {
    Json list = Json::array();
    Table table({{"", Align::kRight}, {}, {"", Align::kRight}, {}});
    for (const Prediction& p : predictions) {
      const std::string rank = std::to_string(list.size() + 1);
      csv_ += csv_line({file.string(), rank, std::to_string(p.index), p.label,
                        fmt::format("{}", p.probability)});
      list.push_back({{"index", p.index}, {"label", p.label}, {"prob", p.probability}});
      std::string label = truncated(p.label, label_width_);
      label.append(static_cast<size_t>(label_width_ - display_width(label)), ' ');
      table.add_row({rank, label, fmt::format("{:.2f} %", p.probability * 100),
                     out_is_terminal() ? bar(p.probability) : ""});
    }
    Json entry = {{"file", file.string()}, {"predictions", std::move(list)}};
    std::string text = printable(file.string()) + '\n' + table.str(2);
    if (typical_score_) {
      const bool doubtful = unsure(predictions.front().probability);
      entry["unsure"] = doubtful;
      if (doubtful) text += "  unsure: lower than 90 % of the scores of what the model knows\n";
    }
    if (!cam.empty()) {
      entry["cam"] = cam.string();
      text += "  heat-map " + printable(cam.string()) + '\n';
    }
    report.add(std::move(entry), text);
  }

  const std::string& csv() const { return csv_; }

 private:
  static std::string bar(float probability) {
    std::string text;
    for (int i = 0; i < static_cast<int>(probability * 20 + 0.5f); ++i) text += "\u2588";
    return text;
  }

  std::optional<double> typical_score_;  // of a calibrated model (`asmlp calibrate`)
  std::string csv_;
  int label_width_ = 0;
};

int run_predict(const PredictOptions& options) {
  check_results(options.results);
  check_output(options.sheet);
  std::optional<PredictSheet> sheet;
  if (!options.sheet.empty()) sheet.emplace(options.sheet);
  const FoundImages found = find_images(options.images);
  const LoadedModel loaded = load_classifier(options.model, options.preprocessing);
  const ModelSpec& spec = loaded.checkpoint.spec;
  if (loaded.bundled && !options.output.json) {
    print_note(known_classes(loaded.file, spec.name, spec.classes, spec.config.num_classes));
  }
  Predictions predictions(spec);
  ImageReport report("predict", options.output.json, found,
                     {{"model",
                       {{"name", spec.name},
                        {"file", loaded.file.string()},
                        {"img_size", spec.preprocessing.size},
                        {"bundled", loaded.bundled}}}});
  const auto finish = [&] {
    return report.finish([&](const Json& document) {
      write_results(options.results, predictions.csv(), to_text(document));
    });
  };
  const int images = static_cast<int>(found.files.size());
  if (images == 0) return finish();

  std::unique_ptr<CamWriter> cams;
  if (!options.cam.empty()) cams = std::make_unique<CamWriter>(options.cam, loaded.checkpoint);
  const auto model = std::make_shared<const Model>(PackedModel::create(
      spec, loaded.checkpoint.tensors,
      {.isa = parse_isa(options.run.isa, "--isa"),
       .precision =
           precision_of(options.run, loaded.checkpoint.tensors, loaded.checkpoint.spec.name)}));
  asmlp::RunOptions run;
  run.threads = options.run.threads;
  run.max_batch = std::min(options.batch_size, images);
  BatchRunner runner(model, run, Keep::kLogits);

  report.start(4 * run.max_batch);
  const DecodeOptions decoding = options.image.decoding(Exif::kApply);
  const auto file_at = [&](int64_t index) { return found.files[static_cast<size_t>(index)]; };
  const size_t classes = static_cast<size_t>(spec.config.num_classes);
  const auto add_batch = [&](const Engine& engine, const InputBatch& batch, int64_t first) {
    for (const auto& failure : batch.failures()) {
      report.add_failure(file_at(first + failure.item).string(), failure.code, failure.message);
    }
    for (int slot = 0; slot < batch.size(); ++slot) {
      const auto logits = engine.logits().subspan(static_cast<size_t>(slot) * classes, classes);
      const std::vector<float> probabilities = softmax(logits);
      std::vector<Predictions::Prediction> best;
      for (int index : top_k(logits, options.topk)) {
        best.push_back(
            {index, class_label(spec.classes, index), probabilities[static_cast<size_t>(index)]});
      }
      const fs::path source = file_at(first + batch.item(slot));
      const fs::path cam = cams ? cams->write(source, engine, slot, batch.image(slot),
                                              best[0].index, best[0].probability)
                                : fs::path();
      predictions.add(report, source, best, cam);
      if (!sheet) continue;
      std::vector<PredictSheet::Answer> answers;
      for (const auto& p : best) answers.push_back({p.label, p.probability});
      sheet->add(batch.image(slot), source, answers, predictions.unsure(best[0].probability));
    }
  };
  runner.run(
      images, [&](int64_t index) { return load_image(file_at(index), decoding); }, add_batch);
  if (sheet) print_note(sheet->write());
  return finish();
}

}  // namespace

Command add_predict(CLI::App& program) {
  auto options = std::make_shared<PredictOptions>();
  CLI::App* app = add_subcommand(
      program, "predict", "Classify images",
      "A file that cannot be read is named on standard error, the others are done, "
      "and the exit code\n"
      "is 1. Pictures are turned upright as their EXIF orientation says. Of a model of "
      "`asmlp calibrate`,\n"
      "images are marked as unsure whose score is lower than those of what it "
      "knows.\n"
      "Examples:\n"
      "  asmlp predict photo.jpg --topk 3\n"
      "  asmlp predict photos/ --cam heatmaps/ --model model.safetensors\n"
      "  asmlp predict photos/ --sheet photos.png\n"
      "  asmlp predict 'photos/*.png' --json > predictions.json\n"
      "  curl -s https://example.org/photo.jpg | asmlp predict -\n"
      "  asmlp predict @list.txt --exif ignore");
  app->add_option("images", options->images, kImagesHelp)->type_name("IMG")->required();
  app->add_option("--topk", options->topk, "classes to print per image (default 5)")
      ->check(CLI::Range(1, 1 << 20))
      ->type_name("K");
  app->add_option("--cam", options->cam,
                  "write a heat-map per image to this folder: where the evidence for the first "
                  "class is (exact, not an approximation)")
      ->type_name("DIR");
  app->add_option("--sheet", options->sheet,
                  "draw the pictures as the network saw them, with what it says of each, into this "
                  "PNG file")
      ->type_name("FILE");
  add_model_options(*app, options->model);
  add_class_map_option(*app, options->model);
  add_preprocessing_options(*app, options->preprocessing);
  add_image_options(*app, options->image, "apply");
  add_run_options(*app, options->run);
  app->add_option("-b,--batch-size", options->batch_size, "images per batch (default 8)")
      ->check(CLI::Range(1, 4096))
      ->type_name("N")
      ->group("Execution");
  add_results_options(*app, options->results);
  add_output_options(*app, options->output);
  return {app, [options] { return run_predict(*options); }};
}

}  // namespace asmlp::cli
