// asmlp validate of a segmentor: its scores on a data set laid out like ADE20K.
#include <algorithm>
#include <cmath>
#include <memory>
#include <ostream>

#include "asmlp/cli/commands/validate.h"
#include "asmlp/cli/dense/evaluate_dense.h"
#include "asmlp/cli/options/class_names.h"
#include "asmlp/cli/options/dense_model.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/process.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/ade20k/label_scan.h"
#include "asmlp/metrics/segmentation.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

// The scores of the data's classes, in their order.
struct DataScores {
  std::vector<double> iou, accuracy;
  double mean_iou = 0, mean_accuracy = 0, pixel_accuracy = 0;
};

// Classes that only the model has are no classes of the mean.
DataScores scores_of(const SegmentationMeter& meter, const std::vector<int>& places) {
  const std::vector<double> iou = meter.iou(), accuracy = meter.accuracy();
  DataScores scores;
  for (const int place : places) {
    scores.iou.push_back(iou[static_cast<size_t>(place)]);
    scores.accuracy.push_back(accuracy[static_cast<size_t>(place)]);
  }
  scores.mean_iou = mean_of_numbers(scores.iou);
  scores.mean_accuracy = mean_of_numbers(scores.accuracy);
  scores.pixel_accuracy = meter.pixel_accuracy();
  return scores;
}

// Which class of the model each class of the data is. Data without a list has the model's.
ClassMatch match_data(Ade20k& data, const NamedSegmentor& model, const std::string& folder) {
  const int count = model.spec.config.num_classes;
  ClassSide side{"the data " + folder, {}, count};
  if (data.named()) {
    side.names = class_names(data);
    side.count = static_cast<int>(side.names.size());
  } else {
    data.assume_classes(std::min(count, kIgnoredLabel - 1));
    side.count = static_cast<int>(data.classes().size());
  }
  return match_names(side, {"the model " + model.file.string(), model.spec.classes, count});
}

// Reads all label maps: what is wrong with them is said before the first image is computed.
LabelScan look_at_labels(const Ade20k& data, const std::string& folder, int threads) {
  const int classes = static_cast<int>(data.classes().size());
  const LabelScan scan = scan_labels(data, classes, threads);
  check_labels(scan, data);
  if (scan.maps > 0 && scan.labeled() == 0) {
    print_note(
        fmt::format("{}: no pixel of its {} label maps has a class (labels 1..{}; 0 and 255 "
                    "are none): no score is defined",
                    folder, scan.maps, classes));
  } else if (scan.pixels[0] > 0 && scan.highest() == classes - 1) {
    print_note(fmt::format(
        "{}: no pixel has label {} ('{}'), and {} pixels have label 0, which is no class: if 0 is "
        "the first class there, add 1 to all labels",
        folder, classes, data.classes().back().name, group_digits(scan.pixels[0])));
  }
  return scan;
}

std::string score_text(double value) {
  return std::isnan(value) ? "-" : fmt::format("{:.2f}", value);
}

Json json_of(double value) { return std::isnan(value) ? Json() : Json(value); }

Json segmentor_json(const ValidateOptions& options, const NamedSegmentor& model, int threads,
                    const Ade20k& data, const SegmentorEvaluation& done, const DataScores& scores) {
  Json json = {{"model", model.spec.name},
               {"file", model.file.string()},
               {"data", options.data},
               {"split", data.split()},
               {"images", done.images},
               {"failed", done.bad},
               {"classes", data.classes().size()},
               {"miou", json_of(scores.mean_iou)},
               {"macc", json_of(scores.mean_accuracy)},
               {"aacc", json_of(scores.pixel_accuracy)},
               {"views", views_text(predict_options(options.tta))},
               {"param_count", static_cast<double>(model.parameters) * 1e-6},
               {"threads", threads},
               {"seconds", done.seconds},
               {"images_per_second", double(done.images) / done.seconds},
               {"peak_memory_bytes", peak_memory()},
               {"per_class", Json::array()}};
  for (size_t k = 0; k < scores.iou.size(); ++k) {
    json["per_class"].push_back({{"label", data.classes()[k].name},
                                 {"iou", json_of(scores.iou[k])},
                                 {"accuracy", json_of(scores.accuracy[k])}});
  }
  return json;
}

// Empty where no number is defined.
std::string cell_of(double value) { return std::isnan(value) ? "" : fmt::format("{}", value); }

// The rows of --predictions: the scores of every image by itself.
class ImageRows {
 public:
  ImageRows(const Ade20k& data, const std::vector<int>& places)
      : data_(data),
        places_(places),
        csv_(csv_line({"filename", "pixels", "pixel_accuracy", "miou", "macc"})) {}

  void add(int64_t index, const SegmentationMeter& image) {
    const DataScores scores = scores_of(image, places_);
    csv_ += csv_line({data_.files(index).image.filename().string(), std::to_string(image.pixels()),
                      cell_of(scores.pixel_accuracy), cell_of(scores.mean_iou),
                      cell_of(scores.mean_accuracy)});
  }
  const std::string& csv() const { return csv_; }

 private:
  const Ade20k& data_;
  const std::vector<int>& places_;
  std::string csv_;
};

std::string segmentor_csv(const Ade20k& data, const DataScores& scores) {
  std::string csv = csv_line({"label", "iou", "accuracy"});
  const auto add = [&](const std::string& label, double iou, double accuracy) {
    csv += csv_line({label, cell_of(iou), cell_of(accuracy)});
  };
  for (size_t k = 0; k < scores.iou.size(); ++k) {
    add(data.classes()[k].name, scores.iou[k], scores.accuracy[k]);
  }
  add("mean", scores.mean_iou, scores.mean_accuracy);
  return csv;
}

std::string segmentor_text(const Json& json, const NamedSegmentor& model, const Ade20k& data,
                           const SegmentorEvaluation& done, const DataScores& scores) {
  Table classes({{"class"}, {"IoU", Align::kRight}, {"Acc", Align::kRight}});
  for (size_t k = 0; k < scores.iou.size(); ++k) {
    if (std::isnan(scores.iou[k])) continue;  // neither there nor predicted
    classes.add_row({truncated(data.classes()[k].name, 40), score_text(scores.iou[k]),
                     score_text(scores.accuracy[k])});
  }
  Table table({{}, {}});
  table.add_row({"model", fmt::format("{} ({}, {:.2f} M parameters)", model.file.string(),
                                      model.spec.name, json["param_count"].get<double>())});
  table.add_row(
      {"data", fmt::format("{}, {}, {} images, {} classes", json["data"].get<std::string>(),
                           json["split"].get<std::string>(), group_digits(done.images),
                           data.classes().size())});
  if (done.bad > 0) table.add_row({"unreadable", group_digits(done.bad)});
  table.add_row({"views", json["views"].get<std::string>()});
  table.add_row({"speed", fmt::format("{:.2f} images/s, {:.2f} s, {} thread{}",
                                      json["images_per_second"].get<double>(), done.seconds,
                                      json["threads"].get<int>(),
                                      json["threads"].get<int>() == 1 ? "" : "s")});
  table.add_row({"peak memory", format_bytes(json["peak_memory_bytes"].get<double>())});
  return classes.str() + '\n' + table.str() +
         fmt::format(" * mIoU {} mAcc {} aAcc {}\n", score_text(scores.mean_iou),
                     score_text(scores.mean_accuracy), score_text(scores.pixel_accuracy));
}

}  // namespace

int validate_segmentor(const ValidateOptions& options, const DenseBackend& backend) {
  check_results(options.results);
  check_output(options.predictions);
  const segment::PredictOptions predicting = predict_options(options.tta);
  Ade20k data(options.data, options.split);
  if (!data.left_out().empty()) print_note(data.left_out());
  NamedSegmentor model = load_named_segmentor(options.model);
  const DenseInput& input = model.spec.preprocessing;
  data.set_decoding(options.image.decoding(input.exif, PixelStyle::kOpenCv));
  const ClassMatch match = match_data(data, model, options.data);
  const LabelScan labels = look_at_labels(data, options.data, options.run.threads);
  const auto runner = backend.start_segmentor(model.spec, model.tensors, {.run = options.run});
  model.tensors.clear();

  Progress progress("validate", data.size(), "images");
  EvaluateSettings settings{.workers = options.workers};
  settings.progress = [&](int64_t images, int64_t) { progress.update(images); };
  settings.on_bad = [&](const std::string& bad) { progress.print(error_line(bad)); };
  const int classes = model.spec.config.num_classes;
  ImageRows rows(data, match.places);
  LabelsOf on_image;
  if (!options.predictions.empty()) {
    on_image = [&](int64_t index, const Image& truth, const Image& predicted) {
      SegmentationMeter meter(classes);
      meter.add(predicted.pixels, truth.pixels);
      rows.add(index, meter);
    };
  }
  const auto segment_one = [&](const Image& image) {
    return runner->segment(image, input, predicting);
  };
  const SegmentorEvaluation done =
      evaluate_segmentor(data, match.places, classes, segment_one, settings, on_image);
  const DataScores scores = scores_of(done.meter, match.places);
  progress.finish(fmt::format("mIoU {}", score_text(scores.mean_iou)));
  require(done.images > 0, ErrorCode::kBadFormat,
          "{}: none of its {} images can be read with its labels, so nothing was measured",
          options.data, data.size());

  const Json json = segmentor_json(options, model, runner->threads(), data, done, scores);
  if (options.output.json) {
    print_json(json);
  } else {
    print_out(segmentor_text(json, model, data, done, scores));
  }
  SideOutputs files;
  if (!options.predictions.empty()) {
    files.add([&] {
      write_file_atomically(options.predictions, [&](std::ostream& out) { out << rows.csv(); });
    });
  }
  files.add([&] { write_results(options.results, segmentor_csv(data, scores), to_text(json)); });
  return files.finish(done.bad == 0 && labels.labeled() > 0 ? kExitOk : kExitFailed);
}

}  // namespace asmlp::cli
