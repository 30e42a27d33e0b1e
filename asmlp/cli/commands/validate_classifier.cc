// asmlp validate of a classifier: accuracy, loss and speed on a data set.
#include <algorithm>
#include <memory>
#include <ostream>

#include "asmlp/cli/commands/validate.h"
#include "asmlp/cli/draw/sheet.h"
#include "asmlp/cli/images/class_subset.h"
#include "asmlp/cli/images/predictions_file.h"
#include "asmlp/cli/options/class_names.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/process.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/dataset.h"
#include "asmlp/model/params.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

// What is known at the end, under timm's names where it has one.
Json results_json(const ValidateOptions& options, const LoadedModel& loaded,
                  const NamedDataset& data, const Evaluation& evaluation, const Runner& runner,
                  int batch_size, double seconds) {
  const ModelSpec& spec = loaded.checkpoint.spec;
  const TopKMeter& meter = evaluation.meter;
  Json json = {{"model", spec.name},
               {"file", loaded.file.string()},
               {"data", options.data},
               {"split", data.split},
               {"images", meter.count()},
               {"failed", evaluation.failures.size()},
               {"classes", data.dataset->classes().size()},
               {"top1", meter.top1()},
               {"top1_err", 100 - meter.top1()},
               {"top5", meter.top5()},
               {"top5_err", 100 - meter.top5()},
               {"loss", meter.loss()},
               {"ece", evaluation.calibration.ece()},
               {"confidence", evaluation.calibration.confidence()},
               {"param_count", parameter_count(spec.config) * 1e-6},
               {"img_size", spec.preprocessing.size},
               {"crop_pct", spec.preprocessing.crop_pct},
               {"interpolation", to_string(spec.preprocessing.interpolation)},
               {"batch_size", batch_size},
               {"backend", options.backend},
               {"threads", runner.threads()},
               {"isa", runner.isa()},
               {"precision", to_string(runner.precision())},
               {"seconds", seconds},
               {"images_per_second", seconds > 0 ? double(meter.count()) / seconds : 0},
               {"peak_memory_bytes", peak_memory()}};
  if (!options.valid_labels.empty()) json["valid_labels"] = options.valid_labels;
  if (!options.predictions.empty()) json["predictions"] = options.predictions;
  if (!options.sheet.empty()) json["sheet"] = options.sheet;
  return json;
}

std::string csv_of(const Json& json) {
  std::vector<std::string> keys;
  std::vector<std::string> values;
  for (const auto& [key, value] : json.items()) {
    if (value.is_structured()) continue;
    keys.push_back(key);
    values.push_back(value.is_string() ? value.get<std::string>() : value.dump());
  }
  return csv_line(keys) + csv_line(values);
}

std::string confusion_text(const ConfusionMatrix& confusion,
                           const std::vector<std::string>& classes) {
  std::string text;
  if (confusion.classes() <= 20) {
    std::vector<Column> columns{{"true \\ predicted"}};
    for (int c = 0; c < confusion.classes(); ++c) {
      columns.push_back({truncated(class_label(classes, c), 8), Align::kRight});
    }
    columns.push_back({"correct", Align::kRight});
    Table table(columns);
    for (int r = 0; r < confusion.classes(); ++r) {
      std::vector<std::string> cells{truncated(class_label(classes, r), 30)};
      for (int c = 0; c < confusion.classes(); ++c) {
        cells.push_back(confusion.at(r, c) == 0 ? "." : std::to_string(confusion.at(r, c)));
      }
      cells.push_back(class_total(confusion, r) > 0
                          ? fmt::format("{:.1f} %", class_accuracy(confusion, r) * 100)
                          : "-");
      table.add_row(cells);
    }
    text = table.str() + '\n';
  }
  Table pairs({{"true class"}, {"taken for"}, {"images", Align::kRight}, {"of", Align::kRight}});
  for (const Confusion& pair : most_confused(confusion, 10)) {
    pairs.add_row({class_label(classes, pair.target), class_label(classes, pair.predicted),
                   group_digits(pair.count), group_digits(class_total(confusion, pair.target))});
  }
  return text + pairs.str() + '\n';
}

Json confusion_json(const ConfusionMatrix& confusion) {
  Json rows = Json::array();
  for (int r = 0; r < confusion.classes(); ++r) {
    Json row = Json::array();
    for (int c = 0; c < confusion.classes(); ++c) row.push_back(confusion.at(r, c));
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string summary_text(const Json& json, const LoadedModel& loaded) {
  Table table({{}, {}});
  table.add_row(
      {"model", fmt::format("{} ({}, {:.2f} M parameters)", loaded.file.string(),
                            json["model"].get<std::string>(), json["param_count"].get<double>())});
  table.add_row(
      {"data",
       fmt::format("{}, {}, {} images, {} classes", json["data"].get<std::string>(),
                   json["split"].get<std::string>(), group_digits(json["images"].get<int64_t>()),
                   json["classes"].get<int64_t>())});
  if (json.contains("valid_labels")) {
    table.add_row({"valid labels", json["valid_labels"].get<std::string>()});
  }
  if (json["failed"].get<int64_t>() > 0) {
    table.add_row({"unreadable", group_digits(json["failed"].get<int64_t>())});
  }
  table.add_row({"loss", fmt::format("{:.4f}", json["loss"].get<double>())});
  table.add_row({"calibration", fmt::format("ECE {:.2f} %, mean confidence {:.2f} %",
                                            json["ece"].get<double>() * 100,
                                            json["confidence"].get<double>() * 100)});
  table.add_row(
      {"speed", fmt::format("{:.1f} images/s, {:.2f} s, {} thread{}, {}, {}",
                            json["images_per_second"].get<double>(), json["seconds"].get<double>(),
                            json["threads"].get<int>(), json["threads"].get<int>() == 1 ? "" : "s",
                            json["isa"].get<std::string>(), json["precision"].get<std::string>())});
  table.add_row({"peak memory", format_bytes(json["peak_memory_bytes"].get<double>())});
  if (json.contains("predictions")) {
    table.add_row({"predictions", json["predictions"].get<std::string>()});
  }
  if (json.contains("sheet")) table.add_row({"sheet", json["sheet"].get<std::string>()});
  return table.str() + fmt::format(" * Acc@1 {:.3f} ({:.3f}) Acc@5 {:.3f} ({:.3f})\n",
                                   json["top1"].get<double>(), json["top1_err"].get<double>(),
                                   json["top5"].get<double>(), json["top5_err"].get<double>());
}

// Which classes are measured.
struct MeasuredClasses {
  std::vector<int> targets;        // per class of the data its place among the logits, or -1
  std::vector<int> valid;          // --valid-labels; empty: all of the model's
  std::vector<std::string> names;  // by those places
};

MeasuredClasses match(const ValidateOptions& options, const LoadedModel& loaded,
                      const Dataset& dataset) {
  const ModelSpec& spec = loaded.checkpoint.spec;
  const ClassSide model{"the model " + loaded.file.string(), spec.classes, spec.config.num_classes};
  const ClassMatch found = match_names(
      {"the data " + options.data, dataset.classes(), static_cast<int>(dataset.classes().size())},
      model);
  MeasuredClasses classes;
  classes.targets = found.places;
  classes.names = spec.classes.empty() ? dataset.classes() : spec.classes;
  if (options.valid_labels.empty()) {
    if (found.subset) {
      print_note("--valid-labels FILE lets predictions compete among the classes of a list only");
    }
    return classes;
  }
  classes.valid = read_class_subset(options.valid_labels, {model.who, classes.names, model.count});
  std::vector<std::string> names;
  for (const int k : classes.valid) names.push_back(class_label(classes.names, k));
  classes.names = std::move(names);
  for (int& target : classes.targets) {
    const auto place = std::ranges::lower_bound(classes.valid, target);
    const bool measured = place != classes.valid.end() && *place == target;
    target = measured ? static_cast<int>(place - classes.valid.begin()) : -1;
  }
  return classes;
}

void draw_sheet(const ValidateOptions& options, const LoadedModel& loaded,
                const std::vector<std::string>& classes, const Json& json, Evaluation& evaluation) {
  const ModelSpec& spec = loaded.checkpoint.spec;
  Sheet sheet;
  const std::string name = spec.name.empty() ? loaded.file.stem().string() : spec.name;
  sheet.title = fmt::format("{}: {:.2f} % of {} images recognized", name, evaluation.meter.top1(),
                            group_digits(evaluation.meter.count()));
  sheet.subtitle = fmt::format(
      "{}, {} split   \u00b7   top-5 {:.2f} %   \u00b7   loss {:.3f}   \u00b7   {:.2f} M "
      "parameters   \u00b7   {:.0f} "
      "images/s on {} threads ({})",
      options.data, json["split"].get<std::string>(), evaluation.meter.top5(),
      evaluation.meter.loss(), json["param_count"].get<double>(),
      json["images_per_second"].get<double>(), json["threads"].get<int>(),
      json["isa"].get<std::string>());
  sheet.samples = std::move(evaluation.samples);
  sheet.mistakes = std::move(evaluation.mistakes);
  sheet.classes = classes;
  write_sheet(options.sheet, sheet, *evaluation.confusion);
}

}  // namespace

int validate_classifier(const ValidateOptions& options, const Backend& backend) {
  check_results(options.results);
  check_output(options.sheet);
  require(options.sheet.empty() || std::filesystem::path(options.sheet).extension() == ".png",
          ErrorCode::kInvalidArgument, "--sheet {}: is written as PNG; its name must end in .png",
          options.sheet);
  check_output(options.predictions);
  const NamedDataset data = open_split(options.data, options.split);
  LoadedModel loaded = load_classifier(options.model, options.preprocessing);
  const ModelSpec& spec = loaded.checkpoint.spec;
  if (const std::string others = data.dataset->left_out(); !others.empty()) print_note(others);
  data.dataset->set_decoding(options.image.decoding(spec.preprocessing.exif));
  const MeasuredClasses classes = match(options, loaded, *data.dataset);
  const ClassSubset measured(*data.dataset, classes.targets);
  require(measured.size() > 0, ErrorCode::kMismatch,
          "--valid-labels {}: none of the {} images of {} is of these classes",
          options.valid_labels, data.dataset->size(), options.data);
  if (const int64_t others = data.dataset->size() - measured.size(); others > 0) {
    print_note(fmt::format("{} of {} images are of classes that {} does not list; left out",
                           group_digits(others), group_digits(data.dataset->size()),
                           options.valid_labels));
  }

  const int64_t images = evaluated_images(measured, options.evaluation.limit);
  EvaluationOptions settings = options.evaluation;
  settings.batch_size = static_cast<int>(std::min<int64_t>(settings.batch_size, images));
  settings.sheet = !options.sheet.empty();
  settings.valid = classes.valid;
  PredictionRows rows(classes.valid, classes.names);
  if (!options.predictions.empty()) {
    settings.on_image = [&](const std::string& name, int target, std::span<const float> logits) {
      rows.add(name, target, logits);
    };
  }
  const auto runner =
      backend.start(loaded.checkpoint, {.max_batch = settings.batch_size, .run = options.run});

  Progress progress("validate", images, "images");
  const auto details = [](const Evaluation& state) {
    return fmt::format("Acc@1 {:.2f}", state.meter.top1());
  };
  Evaluation evaluation = evaluate(
      measured, classes.targets, spec, *runner, options.run.threads, settings,
      [&](int64_t done, const Evaluation& state, const std::vector<Evaluation::Failure>& fresh) {
        for (const auto& failure : fresh) progress.print(error_line(failure.message));
        progress.update(done, details(state));
      });
  progress.finish(details(evaluation));

  require(evaluation.meter.count() > 0, ErrorCode::kBadFormat,
          "{}: none of its {} images can be read, so nothing was measured", options.data, images);
  Json json = results_json(options, loaded, data, evaluation, *runner, settings.batch_size,
                           progress.seconds());
  std::string text;
  if (settings.confusion) {
    json["class_names"] = classes.names;
    json["confusion"] = confusion_json(*evaluation.confusion);
    text = confusion_text(*evaluation.confusion, classes.names);
  }
  if (options.output.json) {
    print_json(json);
  } else {
    print_out(text + summary_text(json, loaded));
  }
  SideOutputs files;
  if (!options.predictions.empty()) {
    files.add([&] {
      write_file_atomically(options.predictions, [&](std::ostream& out) { out << rows.csv(); });
    });
  }
  if (settings.sheet) {
    files.add([&] { draw_sheet(options, loaded, classes.names, json, evaluation); });
  }
  files.add([&] { write_results(options.results, csv_of(json), to_text(json)); });
  return files.finish(evaluation.failures.empty() ? kExitOk : kExitFailed);
}

}  // namespace asmlp::cli
