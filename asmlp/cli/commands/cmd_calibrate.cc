// asmlp calibrate: a temperature in the head of a classifier, so that its scores are probabilities.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/images/evaluation.h"
#include "asmlp/cli/options/class_names.h"
#include "asmlp/cli/options/image_options.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/options/runner.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/progress.h"
#include "asmlp/core/error.h"
#include "asmlp/metrics/calibration.h"
#include "asmlp/metrics/topk.h"
#include "asmlp/model/origin_number.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct CalibrateOptions {
  ModelOptions model;
  std::string data;
  std::string split;
  std::string out;
  EvaluationOptions evaluation;
  std::optional<double> temperature;
  std::optional<double> typical_score;
  ImageOptions image;
  RunOptions run;
  OutputOptions output;
};

// What a model says about images whose classes are known.
struct Answers {
  std::vector<float> logits;  // images x classes
  std::vector<int> targets;
  std::string split;
  size_t failed = 0;

  std::span<const float> row(size_t i, size_t classes) const {
    return std::span(logits).subspan(i * classes, classes);
  }
};

// How true the probabilities are.
struct Trust {
  TopKMeter top;
  CalibrationMeter calibration;
  void add(std::span<const float> logits, int target) {
    top.add(logits, target);
    calibration.add(logits, target);
  }
};

// All that is known of a calibration. Without data only the temperature, and perhaps the score.
struct Calibrated {
  double temperature = 1;
  std::optional<double> typical_score;
  Trust before, after;
};

Answers ask(const CalibrateOptions& options, const LoadedModel& loaded) {
  const NamedDataset data = open_split(options.data, options.split);
  const ModelSpec& spec = loaded.checkpoint.spec;
  if (const std::string others = data.dataset->left_out(); !others.empty()) print_note(others);
  data.dataset->set_decoding(options.image.decoding(spec.preprocessing.exif));
  const std::vector<int> targets =
      match_names({"the data " + options.data, data.dataset->classes(),
                   static_cast<int>(data.dataset->classes().size())},
                  {"the model " + loaded.file.string(), spec.classes, spec.config.num_classes})
          .places;
  const int64_t images = evaluated_images(*data.dataset, options.evaluation.limit);
  EvaluationOptions settings = options.evaluation;
  settings.batch_size = static_cast<int>(std::min<int64_t>(settings.batch_size, images));
  Answers answers;
  answers.split = data.split;
  settings.on_image = [&](const std::string&, int target, std::span<const float> logits) {
    answers.logits.insert(answers.logits.end(), logits.begin(), logits.end());
    answers.targets.push_back(target);
  };
  const auto runner = native_backend().start(
      loaded.checkpoint, {.max_batch = settings.batch_size, .run = options.run});
  Progress progress("calibrate", images, "images");
  const Evaluation evaluation =
      evaluate(*data.dataset, targets, spec, *runner, runner->threads(), settings,
               [&](int64_t done, const Evaluation&, const std::vector<Evaluation::Failure>& fresh) {
                 for (const auto& failure : fresh) progress.print(error_line(failure.message));
                 progress.update(done);
               });
  progress.finish();
  answers.failed = evaluation.failures.size();
  require(!answers.targets.empty(), ErrorCode::kBadFormat,
          "{}: none of its {} images can be read, so nothing was measured", options.data, images);
  return answers;
}

// Every second image from `first` on.
Answers half_of(const Answers& all, size_t classes, size_t first) {
  Answers half;
  for (size_t i = first; i < all.targets.size(); i += 2) {
    const auto row = all.row(i, classes);
    half.logits.insert(half.logits.end(), row.begin(), row.end());
    half.targets.push_back(all.targets[i]);
  }
  return half;
}

double fitted(const Answers& answers, size_t classes, const std::string& data, const char* part) {
  try {
    return fit_temperature(answers.logits, static_cast<int>(classes), answers.targets);
  } catch (const Error& error) {
    fail(error.code(), "{}{}: {}", data, part, error.what());
  }
}

// The value that 10 % of `scores` are below, as NumPy's percentile; scores is not empty. Of 5 % half as
// many photos of other things are below (docs/guide/calibration.md).
double tenth_percentile(std::vector<double> scores) {
  std::ranges::sort(scores);
  const double place = 0.1 * static_cast<double>(scores.size() - 1);
  const auto low = static_cast<size_t>(place);
  const size_t high = std::min(low + 1, scores.size() - 1);
  return std::lerp(scores[low], scores[high], place - static_cast<double>(low));
}

// As many digits as the file's text holds, so that the text is what was done.
double as_stored(double value) { return std::stod(fmt::format("{:.6g}", value)); }

Calibrated calibrate_on(const Answers& all, size_t classes, const std::string& data) {
  Calibrated result;
  result.temperature = as_stored(fitted(all, classes, data, ""));
  // Of no image is the loss "after" measured with a temperature that has seen it.
  const Answers halves[] = {half_of(all, classes, 0), half_of(all, classes, 1)};
  for (const int own : {0, 1}) {
    const double other =
        fitted(halves[1 - own], classes, data, " (one half of it, to measure on the other)");
    const Answers& half = halves[own];
    for (size_t i = 0; i < half.targets.size(); ++i) {
      const auto row = half.row(i, classes);
      result.before.add(row, half.targets[i]);
      result.after.add(with_temperature(row, other), half.targets[i]);
    }
  }
  std::vector<double> scores;
  for (size_t i = 0; i < all.targets.size(); ++i) {
    const std::vector<float> p = softmax(with_temperature(all.row(i, classes), result.temperature));
    const int best = top_k(all.row(i, classes), 1).front();
    if (best == all.targets[i]) scores.push_back(p[static_cast<size_t>(best)]);
  }
  if (!scores.empty()) result.typical_score = as_stored(tenth_percentile(std::move(scores)));
  return result;
}

// The head with logits of 1 / temperature; in fp32, so that the order of classes stays.
void fold(TensorMap& tensors, double temperature) {
  for (const char* name : {"head.weight", "head.bias"}) {
    Tensor& tensor = tensors.at(name);
    std::vector<float> values = with_temperature(to_f32(tensor), temperature);
    require(std::ranges::all_of(values, [](float value) { return std::isfinite(value); }),
            ErrorCode::kUnsupported, "{} / {:g} is beyond fp32; take a greater temperature", name,
            temperature);
    tensor = make_tensor(tensor.shape, std::move(values));
  }
}

void describe_origin(std::map<std::string, std::string>& origin, const CalibrateOptions& options,
                     const Calibrated& result, const Answers& answers) {
  const double before = origin_number(origin, kTemperatureKey).value_or(1);
  origin[kTemperatureKey] = fmt::format("{:.6g}", before * result.temperature);
  // What an earlier calibration found holds no more.
  for (const char* key : {kTypicalScoreKey, "calibration", "calibration_data"}) origin.erase(key);
  if (result.typical_score) {
    origin[kTypicalScoreKey] = fmt::format("{:.6g}", *result.typical_score);
  }
  if (options.data.empty()) return;
  origin["calibration_data"] =
      fmt::format("{}, {}, {} images", options.data, answers.split, answers.targets.size());
  origin["calibration"] = fmt::format(
      "ECE {:.4f} before, {:.4f} after; loss {:.4f} before, {:.4f} after (two-fold cross fitting)",
      result.before.calibration.ece(), result.after.calibration.ece(), result.before.top.loss(),
      result.after.top.loss());
}

Json trust_json(const Trust& trust) {
  return {{"ece", trust.calibration.ece()},
          {"confidence", trust.calibration.confidence()},
          {"loss", trust.top.loss()}};
}

std::string trust_text(const Trust& trust) {
  return fmt::format("ECE {:.2f} %, mean confidence {:.2f} %, loss {:.4f}",
                     trust.calibration.ece() * 100, trust.calibration.confidence() * 100,
                     trust.top.loss());
}

Json calibrate_json(const CalibrateOptions& options, const LoadedModel& loaded,
                    const Calibrated& result, const Answers& answers,
                    const std::map<std::string, std::string>& origin) {
  Json json = {{"model", loaded.checkpoint.spec.name},
               {"file", loaded.file.string()},
               {"output", options.out},
               {"output_bytes", fs::file_size(options.out)},
               {"temperature", result.temperature},
               {"temperature_in_file", origin_number(origin, kTemperatureKey).value_or(1)}};
  if (result.typical_score) json["typical_score"] = *result.typical_score;
  if (options.data.empty()) return json;
  json["data"] = options.data;
  json["split"] = answers.split;
  json["images"] = answers.targets.size();
  json["failed"] = answers.failed;
  json["top1"] = result.before.top.top1();
  json["before"] = trust_json(result.before);
  json["after"] = trust_json(result.after);
  json["after"]["method"] = "two-fold cross fitting";
  return json;
}

std::string calibrate_text(const CalibrateOptions& options, const Calibrated& result,
                           const Answers& answers, const Json& json) {
  Table table({{}, {}});
  table.add_row({"output", fmt::format("{} ({})", options.out,
                                       format_bytes(json["output_bytes"].get<double>()))});
  const double in_file = json["temperature_in_file"].get<double>();
  table.add_row(
      {"temperature", fmt::format("{:.6g}", result.temperature) +
                          (in_file == result.temperature
                               ? ""
                               : fmt::format(" ({:.6g} with what the file had before)", in_file))});
  if (!options.data.empty()) {
    table.add_row(
        {"data", fmt::format("{}, {}, {} images, {:.2f} % recognized", options.data, answers.split,
                             group_digits(static_cast<int64_t>(answers.targets.size())),
                             result.before.top.top1())});
    table.add_row({"before", trust_text(result.before)});
    table.add_row({"after", trust_text(result.after) + " (two-fold cross fitting)"});
  }
  if (result.typical_score) {
    table.add_row({"typical score",
                   fmt::format("{:.2f} %", *result.typical_score * 100) +
                       (options.data.empty() ? "" : ": 90 % of what is recognized scores higher")});
  }
  return table.str();
}

int run_calibrate(const CalibrateOptions& options) {
  require(fs::path(options.out).extension() == ".safetensors", ErrorCode::kInvalidArgument,
          "{}: the output's name must end in .safetensors", options.out);
  require(options.data.empty() != !options.temperature, ErrorCode::kInvalidArgument,
          "{}: give --data DIR to fit a temperature, or --temperature X",
          options.temperature ? "--data and --temperature exclude each other"
                              : "no temperature and no data");
  require(options.data.empty() || !options.typical_score, ErrorCode::kInvalidArgument,
          "--typical-score is measured on --data; it goes with --temperature only");
  require(!options.data.empty() || (options.split.empty() && options.evaluation.limit == 0),
          ErrorCode::kInvalidArgument, "--split and --limit are for --data; leave them out");
  for (const auto& [option, value] : {std::pair{"--temperature", options.temperature},
                                      {"--typical-score", options.typical_score}}) {
    // The ranges of the options let NaN pass.
    require(!value || std::isfinite(*value), ErrorCode::kInvalidArgument, "{} {}: is no number",
            option, value.value_or(0));
  }
  check_output(options.out);
  check_not_overwritten(options.model.model, options.out);
  const LoadedModel loaded = load_classifier(options.model, {});
  const auto start = std::chrono::steady_clock::now();
  Answers answers;
  Calibrated result;
  if (options.temperature) {
    result.temperature = as_stored(*options.temperature);
    if (options.typical_score) result.typical_score = as_stored(*options.typical_score);
  } else {
    answers = ask(options, loaded);
    const auto classes = static_cast<size_t>(loaded.checkpoint.spec.config.num_classes);
    result = calibrate_on(answers, classes, options.data);
  }
  Checkpoint calibrated = loaded.checkpoint;
  fold(calibrated.tensors, result.temperature);
  describe_origin(calibrated.spec.origin, options, result, answers);
  save_checkpoint(options.out, calibrated);
  Json json = calibrate_json(options, loaded, result, answers, calibrated.spec.origin);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  json["seconds"] = elapsed.count();
  if (options.output.json) {
    print_json(json);
  } else {
    print_out(calibrate_text(options, result, answers, json));
  }
  return answers.failed == 0 ? kExitOk : kExitFailed;
}

}  // namespace

Command add_calibrate(CLI::App& program) {
  auto options = std::make_shared<CalibrateOptions>();
  CLI::App* app = add_subcommand(
      program, "calibrate", "Make a classifier's scores true probabilities",
      "Finds the temperature T with the least loss of the logits / T on images that MODEL was not\n"
      "trained on, and writes OUT, whose head (weight and bias) is divided by T. The predicted "
      "classes\n"
      "stay; every program that reads OUT gets the new scores. ECE is the mean distance of scores "
      "and\n"
      "shares of right answers in 15 bins; \"after\" is measured by two-fold cross fitting: on "
      "each "
      "half\n"
      "of the images with the other half's T. OUT remembers (`asmlp info OUT`) the temperature, "
      "the\n"
      "data, and the score that 90 % of the recognized images exceed: `asmlp predict` marks lower "
      "ones.\n"
      "Classifiers only, in floating point or int8.\n"
      "Examples:\n"
      "  asmlp calibrate model.safetensors --data photos/ -o calibrated.safetensors\n"
      "  asmlp calibrate model.safetensors --data imagenet/ --split val --limit 5000 -o "
      "out.safetensors\n"
      "  asmlp calibrate model.safetensors --temperature 1.4 -o out.safetensors");
  app->add_option("model", options->model.model,
                  "weights to calibrate, as `predict --model` takes them")
      ->type_name("MODEL")
      ->required();
  app->add_option("-o,--output", options->out, "file to write, *.safetensors")
      ->type_name("OUT")
      ->required();
  app->add_option("--data", options->data, "images in folders of classes, as `validate` reads them")
      ->type_name("DATA");
  app->add_option("--split", options->split,
                  "which part: val (default; also validation), train, test, or the name of another "
                  "split of the data")
      ->type_name("NAME");
  app->add_option("--limit", options->evaluation.limit,
                  "look at N images, spread evenly over the data")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->type_name("N");
  app->add_option("--temperature", options->temperature,
                  "divide the logits by this number, instead of fitting one to data")
      ->check(CLI::Range(kLeastTemperature, kGreatestTemperature))
      ->type_name("T");
  app->add_option("--typical-score", options->typical_score,
                  "with --temperature: the top score, of 0..1, below which `predict` is unsure")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("P");
  app->add_option("--shift-size", options->model.shift_size,
                  "shift positions, when MODEL does not say (default 5)")
      ->type_name("N|H,W");
  add_class_map_option(*app, options->model);
  add_image_options(*app, options->image, "what the model's file says");
  add_run_options(*app, options->run);
  app->add_option("-b,--batch-size", options->evaluation.batch_size,
                  "images per batch (default 32)")
      ->check(CLI::Range(1, 4096))
      ->type_name("N")
      ->group("Execution");
  add_output_options(*app, options->output);
  return {app, [options] { return run_calibrate(*options); }};
}

}  // namespace asmlp::cli
