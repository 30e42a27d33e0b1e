#include "asmlp/cli/options/dense_model.h"

#include <cmath>

#include "asmlp/cli/options/bundled_model.h"
#include "asmlp/cli/options/class_names.h"
#include "asmlp/cli/options/parse_pair.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/error.h"
#include "asmlp/metrics/segmentation.h"
#include "asmlp/model/params.h"
#include "asmlp/weights/dense_file.h"
#include "asmlp/weights/finite.h"

namespace asmlp::cli {
namespace {

struct NamedFile {
  std::filesystem::path path;
  bool bundled = false;
};

// The file that the options name, or the bundled model of the task, which a note on standard error
// names.
NamedFile file_of(const ModelOptions& options, Task task) {
  if (!options.weights.empty()) return {options.weights, false};
  if (!options.model.empty()) {
    std::error_code ignored;
    require(std::filesystem::exists(options.model, ignored) || !is_zoo_name(options.model),
            ErrorCode::kNotFound,
            "--model {} names an architecture, its weights are not bundled; add --weights FILE",
            options.model);
    return {options.model, false};
  }
  const NamedFile bundled{bundled_model(task), true};
  print_note("using the bundled model " + bundled.path.string());
  return bundled;
}

// What the tensors of the file do not say: the architecture (--config, or --model NAME beside
// --weights) and the shift size. "" is not said here either.
template <typename Spec>
DenseLoadOptions<Spec> dense_load_options(const ModelOptions& options,
                                          Spec (*resolve)(const std::string&)) {
  DenseLoadOptions<Spec> load;
  const std::string& architecture =
      options.config.empty() && !options.weights.empty() ? options.model : options.config;
  if (!architecture.empty()) load.spec = resolve(architecture);
  if (!options.shift_size.empty()) load.shift_size = parse_shift_size(options.shift_size);
  return load;
}

const char* command_for(Task task) {
  switch (task) {
    case Task::kDetect:
      return "asmlp detect";
    case Task::kSegment:
      return "asmlp segment";
    case Task::kClassify:
      break;
  }
  return "asmlp predict";
}

// Weights of a known kind, but of another one.
void check_task(const WeightFile& file, Task wanted) {
  const Task found = file.task();
  if (found == wanted || (found == Task::kClassify && !file.description())) return;
  fail(ErrorCode::kMismatch,
       "{}: weights of a {}; a {} is needed here (`{}` and `asmlp validate --task {}` take this "
       "file)",
       file.path.string(), model_kind(found), model_kind(wanted), command_for(found),
       to_string(found));
}

template <typename Spec>
NamedModel<Spec> load_named(const ModelOptions& options, Task task,
                            Spec (*resolve)(const std::string&),
                            Spec (*spec_of_file)(const WeightFile&,
                                                 const DenseLoadOptions<Spec>&)) {
  NamedModel<Spec> named;
  const NamedFile found = file_of(options, task);
  named.file = found.path;
  named.bundled = found.bundled;
  const DenseLoadOptions<Spec> load = dense_load_options(options, resolve);
  WeightFile file = read_weights(named.file);
  check_task(file, task);
  Description described{spec_of_file(file, load)};
  name_classes(described, options.class_map, named.file, &file.notes);
  named.spec = std::get<Spec>(std::move(described.model));
  require_finite(file.tensors, named.file.string());
  check_network(file.tensors, named.spec.config, named.file.string());
  named.parameters = count_trained(parameter_table(named.spec.config));
  for (const std::string& note : file.notes) print_note(note);
  named.tensors = std::move(file.tensors);
  return named;
}

}  // namespace

void add_input_size_option(CLI::App& app, std::string& size) {
  app.add_option("--img-size", size,
                 "largest short and long side of the network's input in pixels; one number is the "
                 "short side, and the long one keeps its ratio to it (default: the model's)")
      ->type_name("N|SHORT,LONG")
      ->group("Execution");
}

void set_input_size(DenseInput& input, const std::string& size) {
  if (size.empty()) return;
  const auto [short_side, long_side] = parse_pair("--img-size", size, ',');
  const bool both = size.find(',') != std::string::npos;
  const double ratio = double(input.long_side) / input.short_side;
  const DenseInput own = input;
  input.short_side = short_side;
  input.long_side = both ? long_side : static_cast<int>(std::lround(short_side * ratio));
  require(
      input.short_side >= 1 && input.long_side >= input.short_side && input.long_side <= 1 << 14,
      ErrorCode::kInvalidArgument,
      "--img-size {}: the sides must be 1..{}, the second no shorter than the first", size,
      1 << 14);
  print_note(fmt::format("--img-size overrides the model's input of {} x {} pixels", own.short_side,
                         own.long_side));
}

NamedDetector load_named_detector(const ModelOptions& options) {
  NamedDetector named = load_named(options, Task::kDetect, resolve_detector, detector_of_file);
  const int channels = named.spec.config.backbone.in_chans;
  require(channels == 1 || channels == 3, ErrorCode::kUnsupported,
          "{}: the detector takes {} channels, image files have 1 or 3", named.file.string(),
          channels);
  return named;
}

NamedSegmentor load_named_segmentor(const ModelOptions& options) {
  NamedSegmentor named = load_named(options, Task::kSegment, resolve_segmentor, segmentor_of_file);
  const SegmentorConfig& config = named.spec.config;
  require(config.backbone.in_chans == 3, ErrorCode::kUnsupported,
          "{}: the model takes {} channels, images are read as RGB", named.file.string(),
          config.backbone.in_chans);
  require(config.num_classes <= kIgnoredLabel, ErrorCode::kUnsupported,
          "{}: the model has {} classes, label maps hold at most {}", named.file.string(),
          config.num_classes, kIgnoredLabel);
  return named;
}

}  // namespace asmlp::cli
