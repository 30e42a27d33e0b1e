// asmlp validate of a detector: COCO's numbers on a data set laid out as COCO is.
#include <algorithm>
#include <memory>
#include <ostream>

#include "asmlp/cli/options/options.h"
#include "asmlp/cli/terminal/process.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/cli_torch/coco_files.h"
#include "asmlp/cli_torch/commands.h"
#include "asmlp/cli_torch/detection_rows.h"
#include "asmlp/cli_torch/detector_model.h"
#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/split.h"
#include "asmlp/report/table.h"
#include "asmlp/torch/data/loader.h"
#include "asmlp/torch/detect/data/coco_source.h"
#include "asmlp/torch/detect/evaluate.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

// One of the twelve lines of pycocotools' summary: what is averaged over what.
struct Line {
  const char* title;
  const char* iou;
  const char* area;
  int most;  // detections per image and class
};
constexpr std::array<Line, 12> kLines{{{"Average Precision  (AP)", "0.50:0.95", "all", 100},
                                       {"Average Precision  (AP)", "0.50", "all", 100},
                                       {"Average Precision  (AP)", "0.75", "all", 100},
                                       {"Average Precision  (AP)", "0.50:0.95", "small", 100},
                                       {"Average Precision  (AP)", "0.50:0.95", "medium", 100},
                                       {"Average Precision  (AP)", "0.50:0.95", "large", 100},
                                       {"Average Recall     (AR)", "0.50:0.95", "all", 1},
                                       {"Average Recall     (AR)", "0.50:0.95", "all", 10},
                                       {"Average Recall     (AR)", "0.50:0.95", "all", 100},
                                       {"Average Recall     (AR)", "0.50:0.95", "small", 100},
                                       {"Average Recall     (AR)", "0.50:0.95", "medium", 100},
                                       {"Average Recall     (AR)", "0.50:0.95", "large", 100}}};

// "train" or "val", which COCO's layout has, for what the user says.
std::string coco_split(const std::string& name) {
  const std::vector<std::string> folders = split_folders(name);
  for (const char* split : {"train", "val"}) {
    if (std::ranges::count(folders, split) > 0) return split;
  }
  fail(ErrorCode::kNotFound, "--split {}: COCO's layout has the splits train and val", name);
}

std::string summary_of(const CocoScores& scores) {
  std::string text;
  for (size_t i = 0; i < kLines.size(); ++i) {
    const Line& line = kLines[i];
    text += fmt::format(" {} @[ IoU={:<9} | area={:>6} | maxDets={:>3} ] = {:.3f}\n", line.title,
                        line.iou, line.area, line.most, scores.stats()[i]);
  }
  return text;
}

// -1 stands for a class without objects.
std::string class_table(const CocoAnnotations& annotations, const detect::CocoEvaluation& result) {
  std::vector<int64_t> objects(annotations.categories.size());
  for (const CocoAnnotation& a : annotations.annotations) {
    objects[static_cast<size_t>(a.label)] += !a.crowd;
  }
  Table table({{"class"},
               {"objects", Align::kRight},
               {"bbox AP", Align::kRight},
               {"segm AP", Align::kRight}});
  const auto number = [](double value) { return value < 0 ? "-" : fmt::format("{:.3f}", value); };
  for (size_t k = 0; k < objects.size(); ++k) {
    table.add_row({annotations.categories[k].name, group_digits(objects[k]),
                   number(result.box.category_ap[k]), number(result.mask.category_ap[k])});
  }
  return table.str();
}

Json scores_json(const CocoAnnotations& annotations, const CocoScores& scores) {
  Json json;
  for (size_t i = 0; i < 12; ++i) json[CocoScores::kNames[i]] = scores.stats()[i];
  Json& classes = json["category_ap"] = Json::object();
  for (size_t k = 0; k < scores.category_ap.size(); ++k) {
    classes[annotations.categories[k].name] = scores.category_ap[k];
  }
  return json;
}

Json results_json(const ValidateOptions& options, const LoadedDetector& model,
                  const CocoAnnotations& annotations, const detect::CocoEvaluation& result) {
  Json json{{"model", model.spec.name},
            {"file", model.file.string()},
            {"data", options.data},
            {"split", coco_split(options.split)},
            {"images", result.images},
            {"failed", result.bad_samples},
            {"annotations", annotations.annotations.size()},
            {"skipped_annotations", annotations.skips.annotations()},
            {"detections", result.detections.size()},
            {"param_count", double(model.parameters) * 1e-6},
            {"threads", model.threads},
            {"seconds", result.seconds},
            {"images_per_second", double(result.images) / result.seconds},
            {"peak_memory_bytes", peak_memory()}};
  json["bbox"] = scores_json(annotations, result.box);
  json["segm"] = scores_json(annotations, result.mask);
  return json;
}

// The flat values, then both sets of twelve numbers as bbox_AP, ..., segm_ARl.
std::string csv_of(const Json& json) {
  std::vector<std::string> keys, values;
  const auto add = [&](const std::string& key, const Json& value) {
    keys.push_back(key);
    values.push_back(value.is_string() ? value.get<std::string>() : value.dump());
  };
  for (const auto& [key, value] : json.items()) {
    if (!value.is_structured()) add(key, value);
  }
  for (const std::string task : {"bbox", "segm"}) {
    for (const char* name : CocoScores::kNames) add(task + "_" + name, json[task][name]);
  }
  return csv_line(keys) + csv_line(values);
}

std::string text_of(const ValidateOptions& options, const Json& json,
                    const CocoAnnotations& annotations, const detect::CocoEvaluation& result) {
  Table table({{}, {}});
  table.add_row(
      {"model", fmt::format("{} ({}, {:.2f} M parameters)", json["file"].get<std::string>(),
                            json["model"].get<std::string>(), json["param_count"].get<double>())});
  table.add_row({"data", fmt::format("{}, {}, {} images, {} objects, {} classes", options.data,
                                     coco_split(options.split), group_digits(result.images),
                                     group_digits(std::ssize(annotations.annotations)),
                                     annotations.categories.size())});
  if (result.bad_samples > 0) table.add_row({"unreadable", group_digits(result.bad_samples)});
  table.add_row({"detections", group_digits(std::ssize(result.detections))});
  table.add_row({"speed", fmt::format("{:.2f} images/s, {:.1f} s, {} thread{}",
                                      json["images_per_second"].get<double>(), result.seconds,
                                      json["threads"].get<int>(),
                                      json["threads"].get<int>() == 1 ? "" : "s")});
  table.add_row({"peak memory", format_bytes(json["peak_memory_bytes"].get<double>())});
  std::string text = table.str();
  if (options.per_class) text += '\n' + class_table(annotations, result);
  return text + "\nbbox\n" + summary_of(result.box) + "\nsegm\n" + summary_of(result.mask);
}

}  // namespace

int validate_detector(const ValidateOptions& options) {
  check_torch_run(options.run);
  check_results(options.results);
  check_coco_results(options.coco_results);
  check_output(options.predictions);
  const std::string split = coco_split(options.split);
  const detect::CocoFolder folder =
      detect::find_coco(options.data, split == "train" ? Split::kTrain : Split::kValidation);
  const CocoAnnotations annotations = read_coco(folder.annotations);
  if (const std::string report = annotations.skips.report(); !report.empty()) {
    print_note(fmt::format("{}:\n{}", folder.annotations.string(), report));
  }
  LoadedDetector model = load_named_detector(options.model, options.run.threads);
  detect::check_categories(model.spec.config, annotations);
  const detect::CocoTestSource source(folder.images, annotations, model.spec.preprocessing);
  const data::Loader loader(source, {.batch_size = 1, .workers = options.workers});

  Progress progress("validate", loader.images(), "images");
  int64_t bad = 0;
  data::EvaluateOptions evaluation;
  evaluation.on_bad = [&](const std::string& message) {
    ++bad;
    progress.print(error_line(message));
  };
  evaluation.progress = [&](int64_t images) {
    progress.update(images + bad);
    return true;
  };
  const auto world = dist::single_world();
  const auto result = detect::evaluate(*model.net, annotations, loader, *world, evaluation);
  progress.finish();
  if (!result) return kExitFailed;

  require(result->images > 0, ErrorCode::kBadFormat,
          "{}: none of its {} images can be read, so nothing was measured", options.data,
          result->bad_samples);
  write_coco_result_files(options.coco_results, annotations, result->detections);
  if (!options.predictions.empty()) {
    const std::string csv = detection_rows(annotations, result->detections);
    write_file_atomically(options.predictions, [&](std::ostream& out) { out << csv; });
  }
  const Json json = results_json(options, model, annotations, *result);
  write_results(options.results, csv_of(json), to_text(json));
  if (options.output.json) {
    print_json(json);
  } else {
    print_out(text_of(options, json, annotations, *result));
  }
  return result->bad_samples > 0 ? kExitFailed : kExitOk;
}

}  // namespace asmlp::cli
