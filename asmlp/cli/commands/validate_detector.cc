// asmlp validate of a detector: COCO's numbers on a data set laid out as COCO is.
#include <algorithm>
#include <memory>
#include <ostream>

#include "asmlp/cli/commands/validate.h"
#include "asmlp/cli/dense/coco_files.h"
#include "asmlp/cli/dense/detection_rows.h"
#include "asmlp/cli/dense/evaluate_dense.h"
#include "asmlp/cli/dense/tile_options.h"
#include "asmlp/cli/options/dense_model.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/terminal/process.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/dataset/coco/coco_classes.h"
#include "asmlp/dataset/coco/coco_set.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/report/table.h"

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

std::string coco_summary(const CocoScores& scores) {
  std::string text;
  for (size_t i = 0; i < kLines.size(); ++i) {
    const Line& line = kLines[i];
    text += fmt::format(" {} @[ IoU={:<9} | area={:>6} | maxDets={:>3} ] = {:.3f}\n", line.title,
                        line.iou, line.area, line.most, scores.stats()[i]);
  }
  return text;
}

// -1 stands for a class without objects.
std::string class_table(const CocoAnnotations& annotations, const DetectorEvaluation& result) {
  std::vector<int64_t> objects(annotations.categories.size());
  for (const CocoAnnotation& a : annotations.annotations) {
    objects[static_cast<size_t>(a.label)] += !a.crowd;
  }
  std::vector<Column> columns{{"class"}, {"objects", Align::kRight}, {"bbox AP", Align::kRight}};
  if (result.mask) columns.push_back({"segm AP", Align::kRight});
  Table table(columns);
  const auto number = [](double value) { return value < 0 ? "-" : fmt::format("{:.3f}", value); };
  for (size_t k = 0; k < objects.size(); ++k) {
    if (!annotations.categories[k].in_file) continue;
    std::vector<std::string> row{annotations.categories[k].name, group_digits(objects[k]),
                                 number(result.box.category_ap[k])};
    if (result.mask) row.push_back(number(result.mask->category_ap[k]));
    table.add_row(row);
  }
  return table.str();
}

// pycocotools' -1 is no score.
Json score_json(double value) { return value < 0 ? Json() : Json(value); }

Json scores_json(const CocoAnnotations& annotations, const CocoScores& scores) {
  Json json;
  for (size_t i = 0; i < 12; ++i) json[CocoScores::kNames[i]] = score_json(scores.stats()[i]);
  Json& classes = json["category_ap"] = Json::object();
  for (size_t k = 0; k < scores.category_ap.size(); ++k) {
    if (!annotations.categories[k].in_file) continue;
    classes[annotations.categories[k].name] = score_json(scores.category_ap[k]);
  }
  return json;
}

const std::string& coco_name(const ValidateOptions& options) {
  return options.annotations.empty() ? options.data : options.annotations;
}

// Why there are no scores of masks, or of which objects they are: "" when of all.
std::string coco_mask_note(const DetectorSpec& spec, const CocoAnnotations& annotations,
                           const DetectorEvaluation& result) {
  if (!has_masks(spec.config.kind)) return "the model finds boxes only";
  if (!result.mask) return "no object of the annotations has an outline";
  const auto count = std::ranges::count_if(annotations.annotations, &CocoAnnotation::has_outline);
  const auto all = std::ssize(annotations.annotations);
  return count == all ? ""
                      : fmt::format("of the {} of {} objects that have an outline",
                                    group_digits(count), group_digits(all));
}

Json detector_json(const ValidateOptions& options, const std::string& split,
                   const NamedDetector& model, int threads, const CocoAnnotations& annotations,
                   const DetectorEvaluation& result) {
  Json json{{"model", model.spec.name},
            {"file", model.file.string()},
            {"data", coco_name(options)},
            {"split", split},
            {"images", result.images},
            {"failed", result.bad},
            {"annotations", annotations.annotations.size()},
            {"skipped_annotations", annotations.skips.annotations()},
            {"detections", result.detections.size()},
            {"param_count", double(model.parameters) * 1e-6},
            {"threads", threads},
            {"seconds", result.seconds},
            {"images_per_second", double(result.images) / result.seconds},
            {"peak_memory_bytes", peak_memory()}};
  json["bbox"] = scores_json(annotations, result.box);
  json["segm"] = result.mask ? scores_json(annotations, *result.mask) : Json();
  const std::string note = coco_mask_note(model.spec, annotations, result);
  if (!note.empty()) json["segm_note"] = note;
  return json;
}

// The flat values, then both sets of twelve numbers as bbox_AP, ..., segm_ARl; those of masks are
// empty where there are none.
std::string detector_csv(const Json& json) {
  std::vector<std::string> keys, values;
  const auto add = [&](const std::string& key, const Json& value) {
    keys.push_back(key);
    values.push_back(value.is_string() ? value.get<std::string>()
                                       : (value.is_null() ? "" : value.dump()));
  };
  for (const auto& [key, value] : json.items()) {
    if (!value.is_structured() && !key.starts_with("segm")) add(key, value);
  }
  for (const std::string task : {"bbox", "segm"}) {
    for (const char* name : CocoScores::kNames) {
      add(task + "_" + name, json[task].is_null() ? Json("") : json[task][name]);
    }
  }
  return csv_line(keys) + csv_line(values);
}

std::string detector_text(const ValidateOptions& options, const Json& json,
                          const CocoAnnotations& annotations, const DetectorEvaluation& result) {
  Table table({{}, {}});
  table.add_row(
      {"model", fmt::format("{} ({}, {:.2f} M parameters)", json["file"].get<std::string>(),
                            json["model"].get<std::string>(), json["param_count"].get<double>())});
  table.add_row(
      {"data", fmt::format("{}, {}, {} images, {} objects, {} classes", coco_name(options),
                           json["split"].get<std::string>(), group_digits(result.images),
                           group_digits(std::ssize(annotations.annotations)),
                           annotations.categories.size())});
  if (result.bad > 0) table.add_row({"unreadable", group_digits(result.bad)});
  table.add_row({"detections", group_digits(std::ssize(result.detections))});
  table.add_row({"speed", fmt::format("{:.2f} images/s, {:.1f} s, {} thread{}",
                                      json["images_per_second"].get<double>(), result.seconds,
                                      json["threads"].get<int>(),
                                      json["threads"].get<int>() == 1 ? "" : "s")});
  table.add_row({"peak memory", format_bytes(json["peak_memory_bytes"].get<double>())});
  std::string text = table.str();
  if (options.per_class) text += '\n' + class_table(annotations, result);
  text += "\nbbox\n" + coco_summary(result.box) + "\nsegm";
  if (json.contains("segm_note")) text += ": " + printable(json["segm_note"].get<std::string>());
  return text + '\n' + (result.mask ? coco_summary(*result.mask) : "");
}

// The annotations to measure, and the name of their split: "all" without splits or for files that
// the user names.
std::pair<CocoSet, std::string> open_coco_set(const ValidateOptions& options) {
  if (options.annotations.empty()) {
    require(options.images.empty(), ErrorCode::kInvalidArgument,
            "--images {}: needs --annotations FILE", options.images);
    const CocoFiles files =
        find_coco(options.data, options.split.empty() ? "validation" : options.split);
    if (files.split.empty()) {
      print_note(fmt::format("{}: the data has no splits; all of it is evaluated",
                             files.annotations.string()));
    }
    return {open_coco(files), files.split.empty() ? "all" : files.split};
  }
  require(!options.images.empty() || !options.data.empty(), ErrorCode::kInvalidArgument,
          "--annotations {}: needs --images DIR", options.annotations);
  return {open_coco(named_coco(options.images.empty() ? options.data : options.images,
                               options.annotations)),
          "all"};
}

// Brings the annotations to the model's classes, before anything is computed.
void prepare_coco_set(CocoSet& set, const DetectorSpec& spec) {
  for (const std::string& note : set.notes()) print_note(note);
  for (const std::string& note : match_categories(set.annotations, spec.classes,
                                                  spec.config.num_classes, set.file.string())) {
    print_note(note);
  }
  require_objects(set.annotations, set.file.string());
  const std::vector<CocoAnnotation>& objects = set.annotations.annotations;
  const int64_t bare = std::ranges::count_if(
      objects, [](const CocoAnnotation& object) { return !object.has_outline(); });
  if (bare > 0 && bare < std::ssize(objects)) {
    print_note(
        fmt::format("{}: {} of {} objects have no outline; they count for boxes, not for masks",
                    set.file.string(), bare, objects.size()));
  }
}

}  // namespace

int validate_detector(const ValidateOptions& options, const DenseBackend& backend) {
  check_results(options.results);
  check_coco_results(options.coco_results);
  check_output(options.predictions);
  const auto tiles = tile_options(options.tiles);
  auto [set, split] = open_coco_set(options);
  NamedDetector model = load_named_detector(options.model);
  prepare_coco_set(set, model.spec);
  const CocoAnnotations& annotations = set.annotations;
  const auto runner = backend.start_detector(model.spec, model.tensors, {.run = options.run});
  model.tensors.clear();

  Progress progress("validate", std::ssize(annotations.images), "images");
  EvaluateSettings settings{.workers = options.workers};
  settings.on_bad = [&](const std::string& message) { progress.print(error_line(message)); };
  settings.progress = [&](int64_t images, int64_t bad) { progress.update(images + bad); };
  ImageDetector detector(*runner, model.spec, tiles);
  const bool gray = model.spec.config.backbone.in_chans == 1;
  const auto detect_one = [&](const Image& image) {
    return detector.detect(gray ? to_gray(image) : image);
  };
  const DetectorEvaluation result = evaluate_detector(
      set, options.image.decoding(model.spec.preprocessing.exif, PixelStyle::kOpenCv),
      model.spec.config.kind, runner->threads(), detect_one, settings);
  progress.finish();
  if (result.stored > 0) {
    print_note(
        fmt::format("{} images were not turned by their EXIF orientation: their size in the "
                    "annotations is that of the stored pixels",
                    result.stored));
  }

  require(result.images > 0, ErrorCode::kBadFormat,
          "{}: none of its {} images can be read, so nothing was measured", coco_name(options),
          result.bad);
  const Json json = detector_json(options, split, model, runner->threads(), annotations, result);
  if (options.output.json) {
    print_json(json);
  } else {
    print_out(detector_text(options, json, annotations, result));
  }
  SideOutputs files;
  files.add([&] {
    write_coco_result_files(options.coco_results, model.spec.config.kind, annotations,
                            result.detections);
  });
  if (!options.predictions.empty()) {
    files.add([&] {
      const std::string csv = detection_rows(annotations, result.detections);
      write_file_atomically(options.predictions, [&](std::ostream& out) { out << csv; });
    });
  }
  files.add([&] { write_results(options.results, detector_csv(json), to_text(json)); });
  return files.finish(result.bad > 0 ? kExitFailed : kExitOk);
}

}  // namespace asmlp::cli
