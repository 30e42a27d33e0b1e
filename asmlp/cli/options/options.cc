#include "asmlp/cli/options/options.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ostream>
#include <sstream>

#include "asmlp/cli/options/bundled_model.h"
#include "asmlp/cli/options/class_names.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/model/zoo.h"
#include "asmlp/schema/nearest.h"
#include "asmlp/weights/quantized.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

bool looks_like_file(const std::string& name) {
  std::error_code ignored;
  if (fs::exists(name, ignored) || name.find('/') != std::string::npos) return true;
  const std::string extension = fs::path(name).extension().string();
  for (const char* known : {".safetensors", ".pth", ".pt", ".bin", ".tar", ".ckpt"}) {
    if (extension == known) return true;
  }
  return false;
}

// The architecture that --config or --model NAME gives to --weights.
std::optional<ModelSpec> spec_for_weights(const ModelOptions& options) {
  if (!options.config.empty()) {
    require(options.model.empty(), ErrorCode::kInvalidArgument,
            "--config and --model both name an architecture; give one of them");
    return load_spec(options.config);
  }
  if (!options.model.empty()) return zoo_model(options.model);
  return std::nullopt;
}

[[noreturn]] void fail_name_without_weights(const std::string& name) {
  const std::vector<std::string> names = zoo_names();
  require(std::find(names.begin(), names.end(), name.substr(0, name.find('.'))) != names.end(),
          ErrorCode::kNotFound,
          "--model {}: neither a file nor a known model{} (`asmlp info --list` prints all names)",
          name, did_you_mean(name, names));
  fail(ErrorCode::kNotFound,
       "--model {} names an architecture, its weights are not bundled; add --weights FILE (the "
       "authors' .pth files are read as they are)",
       name);
}

}  // namespace

void add_model_options(CLI::App& app, ModelOptions& options) {
  const std::string group = "Model";
  app.add_option(
         "-m,--model", options.model,
         "weight file (.safetensors, .pth), or a zoo name together with --weights; default: "
         "the bundled model")
      ->type_name("FILE|NAME")
      ->group(group);
  app.add_option("--weights,--checkpoint", options.weights,
                 "weight file whose architecture --model NAME or --config gives")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--config,--arch", options.config,
                 "architecture of a file that does not hold it: JSON, YAML or a zoo name")
      ->type_name("FILE|NAME")
      ->group(group);
  app.add_option(
         "--shift-size", options.shift_size,
         "shift positions, for files that do not say (weights do not show it); a classifier's "
         "default is 5")
      ->type_name("N|H,W")
      ->group(group);
}

void add_class_map_option(CLI::App& app, ModelOptions& options) {
  app.add_option("--class-map,--classes", options.class_map,
                 "text file with one class name per line")
      ->type_name("FILE")
      ->group("Model");
}

std::vector<CLI::Option*> add_preprocessing_options(CLI::App& app, PreprocessingOptions& options) {
  const std::string group = "Preprocessing (default: the model's own)";
  return {app.add_option("--img-size", options.img_size, "side of the network input in pixels")
              ->check(CLI::Range(1, 16384))
              ->type_name("N")
              ->group(group),
          app.add_option("--crop-pct", options.crop_pct,
                         "the short side is resized to img-size / crop-pct, then cropped")
              ->check(CLI::Range(0.01, 1.0))
              ->type_name("X")
              ->group(group),
          app.add_option("--interpolation", options.interpolation, "bicubic or bilinear")
              ->check(CLI::IsMember({"bicubic", "bilinear"}))
              ->type_name("NAME")
              ->group(group)};
}

void add_run_options(CLI::App& app, RunOptions& options) {
  const std::string group = "Execution";
  app.add_option("-j,--threads", options.threads, "threads; 0 takes every usable core (default)")
      ->check(CLI::Range(0, 256))
      ->type_name("N")
      ->group(group);
  app.add_option("--isa", options.isa,
                 "instruction set (`asmlp info --cpu` lists them); default: $ASMLP_ISA or the best")
      ->type_name("NAME")
      ->group(group);
  app.add_option(
         "--precision", options.precision,
         "numbers of the matrix products: fp32 (default), bf16, bf16x3 (two bf16 parts for "
         "each number, where the processor has tile units), or int8 (default of models that "
         "`asmlp quantize` made, and theirs only); sums stay fp32")
      ->check(CLI::IsMember(precision_names()))
      ->type_name("NAME")
      ->group(group);
}

Precision precision_of(const RunOptions& options, const TensorMap& tensors,
                       const std::string& name) {
  const std::string what = name.empty() ? "the model" : name;
  const Precision wanted =
      options.precision.empty() ? Precision::kFp32 : parse_precision(options.precision);
  const Precision usable = usable_precision(wanted, tensors, what);
  require(options.precision.empty() || usable == wanted, ErrorCode::kUnsupported,
          "--precision fp32: the weights of {} are quantized to int8; leave the option out, take "
          "the file that was quantized, or write an fp32 file: `asmlp convert IN OUT --dequantize`",
          what);
  return usable;
}

void add_output_options(CLI::App& app, OutputOptions& options) {
  const std::string group = "Output";
  app.add_flag("--json", options.json, "print one JSON document on standard output")->group(group);
  CLI::Option* verbose =
      app.add_flag_callback(
             "--verbose", [] { set_verbose(true); }, "print what the library reports")
          ->group(group);
  if (CLI::Option* quiet = app.get_option_no_throw("--quiet")) verbose->excludes(quiet);
}

void add_results_options(CLI::App& app, ResultsOptions& options) {
  const std::string group = "Output";
  CLI::Option* file =
      app.add_option("--results-file", options.file, "also write the results to this file")
          ->type_name("FILE")
          ->group(group);
  app.add_option("--results-format", options.format,
                 "csv or json; default: by the extension of --results-file")
      ->needs(file)
      ->check(CLI::IsMember({"csv", "json"}))
      ->type_name("NAME")
      ->group(group);
}

void write_results(const ResultsOptions& options, const std::string& csv, const std::string& json) {
  if (options.file.empty()) return;
  const bool as_json = options.format.empty() ? fs::path(options.file).extension() == ".json"
                                              : options.format == "json";
  write_file_atomically(options.file, [&](std::ostream& out) { out << (as_json ? json : csv); });
}

void SideOutputs::add(const std::function<void()>& write) {
  try {
    write();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) throw;
    failures_.emplace_back(error.what());
  }
}

int SideOutputs::finish(int code) const {
  for (const std::string& failure : failures_) print_error(failure);
  return failures_.empty() ? code : kExitFailed;
}

void check_results(const ResultsOptions& options) {
  check_output(options.file);
  const std::string extension = fs::path(options.file).extension().string();
  require(options.file.empty() || !options.format.empty() || extension == ".csv" ||
              extension == ".json",
          ErrorCode::kInvalidArgument,
          "--results-file {}: neither .csv nor .json; say which with --results-format",
          options.file);
}

void check_output(const std::string& path) {
  if (path.empty()) return;
  check_writable(path);
}

void check_not_overwritten(const fs::path& input, const fs::path& output) {
  std::error_code ignored;
  require(!fs::equivalent(input, output, ignored), ErrorCode::kInvalidArgument,
          "{} is both input and output; write to another file", input.string());
}

LoadedModel load_model(const ModelOptions& options) {
  LoadedModel loaded;
  CheckpointOptions load;
  if (!options.weights.empty()) {
    require(options.model.empty() || !looks_like_file(options.model), ErrorCode::kInvalidArgument,
            "--weights {} and --model {} are both files; give one of them", options.weights,
            options.model);
    loaded.file = options.weights;
    load.spec = spec_for_weights(options);
  } else if (!options.model.empty()) {
    if (!looks_like_file(options.model)) fail_name_without_weights(options.model);
    loaded.file = options.model;
    if (!options.config.empty()) load.spec = load_spec(options.config);
  } else {
    require(options.config.empty(), ErrorCode::kInvalidArgument,
            "--config {} needs the weights it describes: add --weights FILE", options.config);
    loaded.file = bundled_model(Task::kClassify);
    loaded.bundled = true;
  }
  if (!options.shift_size.empty()) {
    load.shift_size = parse_shift_size(options.shift_size);
    if (load.spec) load.spec->config.shift_size = *load.shift_size;
  }
  loaded.checkpoint = load_checkpoint(loaded.file, load, &loaded.notes);
  ModelSpec& spec = loaded.checkpoint.spec;
  Description named{Architecture{std::move(spec), AsMlpFamily{}}};
  name_classes(named, options.class_map, loaded.file, &loaded.notes);
  spec = std::move(std::get<Architecture>(named.model).spec);
  return loaded;
}

LoadedModel load_classifier(const ModelOptions& options,
                            const PreprocessingOptions& preprocessing) {
  LoadedModel loaded = load_model(options);
  ModelSpec& spec = loaded.checkpoint.spec;
  for (const std::string& note : loaded.notes) print_note(note);
  if (loaded.bundled) print_note("using the bundled model " + loaded.file.string());
  require(spec.config.num_classes > 0, ErrorCode::kUnsupported,
          "{}: a backbone without head cannot classify; use a classification checkpoint",
          loaded.file.string());
  require(spec.config.in_chans == 1 || spec.config.in_chans == 3, ErrorCode::kUnsupported,
          "{}: the model takes {} channels, image files have 1 or 3; use `asmlp forward`",
          loaded.file.string(), spec.config.in_chans);
  const Preprocessing own = spec.preprocessing;
  if (preprocessing.img_size) spec.preprocessing.size = *preprocessing.img_size;
  if (preprocessing.crop_pct) spec.preprocessing.crop_pct = *preprocessing.crop_pct;
  if (preprocessing.interpolation == "bicubic") {
    spec.preprocessing.interpolation = Interpolation::kBicubic;
  } else if (preprocessing.interpolation == "bilinear") {
    spec.preprocessing.interpolation = Interpolation::kBilinear;
  }
  if (!(spec.preprocessing == own)) {
    print_note(fmt::format("options override the model's preprocessing ({} px, crop {}, {})",
                           own.size, own.crop_pct, to_string(own.interpolation)));
  }
  return loaded;
}

ShiftSize parse_shift_size(const std::string& text) {
  std::vector<int> values;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (at != end) {
    int value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    const bool more = next != end && *next == ',' && next + 1 != end;
    if (error != std::errc() || value < 1 || value > 255 || (next != end && !more)) {
      values.clear();
      break;
    }
    values.push_back(value);
    at = more ? next + 1 : next;
  }
  require(values.size() == 1 || values.size() == 2, ErrorCode::kInvalidArgument,
          "--shift-size {}: must be one number or H,W, each between 1 and 255", text);
  return {values.front(), values.back()};
}

}  // namespace asmlp::cli
