// asmlp validate of a segmentor: its scores on a data set laid out like ADE20K.
#include <cmath>
#include <memory>

#include "asmlp/cli/images/evaluation.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/process.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/cli_torch/commands.h"
#include "asmlp/cli_torch/segmentor_model.h"
#include "asmlp/core/error.h"
#include "asmlp/report/table.h"
#include "asmlp/torch/segment/ade_source.h"
#include "asmlp/torch/segment/evaluate.h"

namespace asmlp::cli {
namespace {

using segment::SegmentationEvaluation;

// The net's outputs are classes by their order: the data's must have the same order.
void check_classes(const Ade20k& data, const LoadedSegmentor& model, const std::string& folder) {
  std::vector<std::string> names;
  for (const SegmentationClass& c : data.classes()) names.push_back(c.name);
  std::string note;
  const std::vector<int> places =
      match_classes(names, model.spec.classes, model.spec.config.num_classes, &note);
  for (size_t k = 0; k < places.size(); ++k) {
    require(places[k] == static_cast<int>(k), ErrorCode::kMismatch,
            "{}: has the classes of {} in another order ('{}' is number {} here, {} there)", folder,
            model.file.string(), names[k], k + 1, places[k] + 1);
  }
  if (!note.empty()) print_note(note);
}

std::string score(double value) { return std::isnan(value) ? "-" : fmt::format("{:.2f}", value); }

Json json_of(double value) { return std::isnan(value) ? Json() : Json(value); }

Json results_json(const ValidateOptions& options, const LoadedSegmentor& model, const Ade20k& data,
                  const SegmentationEvaluation& scores) {
  Json json = {{"model", model.spec.name},
               {"file", model.file.string()},
               {"data", options.data},
               {"split", options.split},
               {"images", scores.images},
               {"failed", scores.bad_samples},
               {"classes", data.classes().size()},
               {"miou", scores.mean_iou},
               {"macc", scores.mean_accuracy},
               {"aacc", scores.pixel_accuracy},
               {"views", describe(model.tta)},
               {"param_count", static_cast<double>(model.parameters) * 1e-6},
               {"threads", model.threads},
               {"seconds", scores.seconds},
               {"images_per_second", double(scores.images) / scores.seconds},
               {"peak_memory_bytes", peak_memory()},
               {"per_class", Json::array()}};
  for (size_t k = 0; k < scores.iou.size(); ++k) {
    json["per_class"].push_back({{"label", data.classes()[k].name},
                                 {"iou", json_of(scores.iou[k])},
                                 {"accuracy", json_of(scores.accuracy[k])}});
  }
  return json;
}

std::string csv_of(const Ade20k& data, const SegmentationEvaluation& scores) {
  std::string csv = csv_line({"label", "iou", "accuracy"});
  const auto add = [&](const std::string& label, double iou, double accuracy) {
    csv += csv_line({label, std::isnan(iou) ? "" : fmt::format("{}", iou),
                     std::isnan(accuracy) ? "" : fmt::format("{}", accuracy)});
  };
  for (size_t k = 0; k < scores.iou.size(); ++k) {
    add(data.classes()[k].name, scores.iou[k], scores.accuracy[k]);
  }
  add("mean", scores.mean_iou, scores.mean_accuracy);
  return csv;
}

std::string text_of(const Json& json, const LoadedSegmentor& model, const Ade20k& data,
                    const SegmentationEvaluation& scores) {
  Table classes({{"class"}, {"IoU", Align::kRight}, {"Acc", Align::kRight}});
  for (size_t k = 0; k < scores.iou.size(); ++k) {
    if (std::isnan(scores.iou[k])) continue;  // neither there nor predicted
    classes.add_row(
        {truncated(data.classes()[k].name, 40), score(scores.iou[k]), score(scores.accuracy[k])});
  }
  Table table({{}, {}});
  table.add_row({"model", fmt::format("{} ({}, {:.2f} M parameters)", model.file.string(),
                                      model.spec.name, json["param_count"].get<double>())});
  table.add_row(
      {"data", fmt::format("{}, {}, {} images, {} classes", json["data"].get<std::string>(),
                           json["split"].get<std::string>(), group_digits(scores.images),
                           data.classes().size())});
  if (scores.bad_samples > 0) table.add_row({"unreadable", group_digits(scores.bad_samples)});
  table.add_row({"views", describe(model.tta)});
  table.add_row({"speed", fmt::format("{:.2f} images/s, {:.2f} s, {} thread{}",
                                      json["images_per_second"].get<double>(), scores.seconds,
                                      model.threads, model.threads == 1 ? "" : "s")});
  table.add_row({"peak memory", format_bytes(json["peak_memory_bytes"].get<double>())});
  return classes.str() + '\n' + table.str() +
         fmt::format(" * mIoU {:.2f} mAcc {:.2f} aAcc {:.2f}\n", scores.mean_iou,
                     scores.mean_accuracy, scores.pixel_accuracy);
}

}  // namespace

int validate_segmentor(const ValidateOptions& options) {
  check_torch_run(options.run);
  check_results(options.results);
  Ade20k data(options.data, options.part());
  if (!data.left_out().empty()) print_note(data.left_out());
  LoadedSegmentor model = load_named_segmentor(options.model, options.run.threads, options.tta);
  data.set_decoding(options.image.decoding(model.spec.preprocessing.exif, PixelStyle::kOpenCv));
  check_classes(data, model, options.data);
  const segment::AdeTestSource source(data);
  const data::Loader loader(source, {.batch_size = 1, .workers = options.workers});

  Progress progress("validate", data.size(), "images");
  data::EvaluateOptions settings;
  settings.progress = [&](int64_t images) {
    progress.update(images);
    return true;
  };
  settings.on_bad = [&](const std::string& bad) { progress.print(error_line(bad)); };
  const auto world = dist::single_world();
  const SegmentationEvaluation scores =
      segment::evaluate(*model.net, loader, model.spec.preprocessing, model.tta, *world, settings)
          .value();
  progress.finish(fmt::format("mIoU {:.2f}", scores.mean_iou));

  const Json json = results_json(options, model, data, scores);
  write_results(options.results, csv_of(data, scores), to_text(json));
  if (options.output.json) {
    print_json(json);
  } else {
    print_out(text_of(json, model, data, scores));
  }
  return scores.bad_samples == 0 ? kExitOk : kExitFailed;
}

}  // namespace asmlp::cli
