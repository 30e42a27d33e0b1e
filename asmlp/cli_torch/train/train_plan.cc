#include "asmlp/cli_torch/train/train_plan.h"

#include <fmt/format.h>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli_torch/train/launch.h"
#include "asmlp/cli_torch/train/recipe.h"
#include "asmlp/core/error.h"
#include "asmlp/core/files/inside_path.h"
#include "asmlp/dataset/dataset.h"
#include "asmlp/dataset/layout.h"
#include "asmlp/schema/fields.h"
#include "asmlp/torch/train/resume_options.h"
#include "asmlp/torch/train/tasks/detect_task.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

const char* finetune_recipe(Task task) {
  switch (task) {
    case Task::kDetect:
      return "recipes/finetune_boxes.yaml";
    case Task::kSegment:
      return "recipes/finetune_segments.yaml";
    case Task::kClassify:
      break;
  }
  return "recipes/finetune_photos.yaml";
}

// Of several processes, the one that started them speaks.
void say_once(const std::string& note) {
  if (!is_launched_worker()) print_note(note);
}

// The state that --resume names, or that of the run in --output; "" when there is neither.
fs::path resumed_state(const TrainArguments& arguments) {
  require(arguments.experiment.empty() || stays_inside(arguments.experiment),
          ErrorCode::kInvalidArgument,
          "--experiment {}: leads out of the folder of --output; give that folder with --output",
          arguments.experiment);
  if (!arguments.resume.empty()) return arguments.resume;
  if (arguments.output.empty()) return {};
  return fs::path(arguments.output) / arguments.experiment / "last.safetensors";
}

// Nothing where there is none, or none that can be read: whoever resumes from it says so.
std::optional<train::RunState> find_saved(const TrainArguments& arguments) {
  const fs::path path = resumed_state(arguments);
  if ((!arguments.resumes && !arguments.auto_resume) || path.empty() || !fs::exists(path)) {
    return std::nullopt;
  }
  try {
    return train::read_state(path, nullptr);
  } catch (const Error&) {
    if (arguments.resumes && arguments.config.empty()) throw;
  }
  if (arguments.resumes) return std::nullopt;
  try {
    return train::read_state(path.parent_path() / "previous.safetensors", nullptr);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// The task of the folder's layout unless it is `task` or none. Synthetic scenes are laid out for
// detectors and for segmentors.
std::optional<Task> other_task(const std::string& data, Task task) {
  const std::optional<Task> layout = task_of_layout(data);
  const auto has = [&](const char* part) {
    std::error_code ignored;
    return fs::is_directory(fs::path(data) / part / "training", ignored) ||
           fs::is_directory(fs::path(data) / part / "validation", ignored);
  };
  const bool both = task == Task::kSegment && has("images") && has("annotations");
  return layout == task || both ? std::nullopt : layout;
}

// A model of one task and data of another: what to do instead.
void require_one_task(const std::string& model, Task task, const std::string& data) {
  if (data.empty()) return;
  std::optional<Task> other = other_task(data, task);
  if (!other && task != Task::kClassify && !task_of_layout(data) &&
      !find_split_folder(data, Split::kTrain).empty()) {
    other = Task::kClassify;
  }
  if (!other) return;
  fail(
      ErrorCode::kMismatch,
      "{} is a {}, {} is laid out for {}s: leave --model out (or name a {} with the same backbone) "
      "and give --initial-checkpoint {}, which takes its backbone; or insist with --task {}",
      model, model_kind(task), data, model_kind(*other), model_kind(*other), model,
      to_string(task));
}

train::TrainOptions recipe_options(const TrainArguments& arguments) {
  train::TrainOptions recipe = load_recipe(arguments.config);
  const std::string data = arguments.given.value("data", recipe.model.data);
  const std::optional<Task> layout = other_task(data, recipe.model.task);
  require(arguments.task.wanted || !layout, ErrorCode::kMismatch,
          "{}: is laid out for {}s, {} is a recipe for {}s; take another recipe, or insist with "
          "--task {}",
          data, layout ? model_kind(*layout) : "", arguments.config, model_kind(recipe.model.task),
          to_string(recipe.model.task));
  // What the recipe says of the schedule is for its own number of epochs.
  const int planned = recipe.schedule.epochs;
  if (const auto epochs = arguments.given.find("epochs");
      epochs != arguments.given.end() && epochs->is_number_integer() && epochs->get<int>() >= 1) {
    recipe.schedule.epochs = epochs->get<int>();
    train::refit_schedule(recipe.schedule, planned);
  }
  return recipe;
}

// The defaults of the task, which is found and said.
train::TrainOptions task_options(const TrainArguments& arguments) {
  const auto model = arguments.given.find("model");
  const std::string data = arguments.given.value("data", "");
  const std::string name =
      model != arguments.given.end() && model->is_string() ? model->get<std::string>() : "";
  const bool from_file = train::ModelChoice(name).is_weight_file();
  TaskDecision decision = find_task(arguments.task, {.model = name, .data = data});
  if (!arguments.task.wanted && name.empty() && arguments.given.contains("train-annotations")) {
    decision = {Task::kDetect, "--train-annotations is given"};
  }
  if (from_file && !arguments.task.wanted) require_one_task(name, decision.task, data);
  if (decision.task != Task::kClassify && !decision.reason.empty()) {
    say_once(fmt::format("task: {} ({})", to_string(decision.task), decision.reason));
  }
  if (!from_file) return train::default_options(decision.task);
  say_once(
      fmt::format("fine-tuning: the defaults are those of {}", finetune_recipe(decision.task)));
  return train::default_options(decision.task, train::Start::kFile);
}

// What the command line's options are laid over.
train::TrainOptions base_options(const TrainArguments& arguments,
                                 const std::optional<train::RunState>& saved) {
  if (!arguments.config.empty()) return recipe_options(arguments);
  if (arguments.resumes) {
    if (saved) return saved->options;
    const fs::path state = resumed_state(arguments);
    if (!state.empty()) return train::read_state(state, nullptr).options;  // says what is wrong
  }
  return task_options(arguments);
}

// Whether somebody said which model is trained: the command line, the recipe or the resumed run.
bool names_model(const TrainArguments& arguments, const std::optional<train::RunState>& saved) {
  if (arguments.given.contains("model") || saved) return true;
  return !arguments.config.empty() && recipe_names_model(arguments.config);
}

// The model of options whose user named none: that of the data.
void choose_model(train::TrainOptions& options) {
  if (options.model.task != Task::kDetect) return;
  const train::ModelChoice model = train::default_detector(options);
  if (options.model.choice != model) {
    say_once(fmt::format("model: {} (the annotations have boxes, but no outlines)", model.name));
  }
  options.model.choice = model;
}

// A detector with masks cannot learn them from boxes: it is trained on as one of boxes.
void leave_out_masks(train::TrainOptions& options) {
  nlohmann::json& model = options.model.choice.description;
  if (options.model.task != Task::kDetect || !model.contains("config")) return;
  std::string& kind = model["config"]["kind"].get_ref<std::string&>();
  const bool cascade = kind == "cascade";
  if ((kind != "mask_rcnn" && !cascade) || !train::has_boxes_only(options)) return;
  say_once(
      fmt::format("the annotations have boxes, but no outlines: the {} is trained on as a {}, "
                  "without its mask head",
                  kind, cascade ? "cascade_rcnn" : "faster_rcnn"));
  kind = cascade ? "cascade_rcnn" : "faster_rcnn";
  model["config"].erase("mask_head");
  model.erase("name");
}

void settle_model(TrainArguments& arguments, const std::optional<train::RunState>& saved) {
  train::ModelOptions& model = arguments.options.model;
  const bool from_file = model.choice.is_weight_file();
  const auto fit_sizes = [&] {
    std::vector<std::string> given;
    for (const auto& [name, value] : arguments.given.items()) given.push_back(name);
    train::fit_to_preprocessing(model.choice.resolve(model.task), given, arguments.options);
  };
  // The run does not need the file any more that it was started from.
  if (saved && !model.choice.name.empty() && !from_file &&
      saved->options.model.initial_checkpoint == model.choice.name) {
    model.choice = saved->options.model.choice;
    model.initial_checkpoint = saved->options.model.initial_checkpoint;
    fit_sizes();
    return;
  }
  // --model FILE wins over the start of a recipe.
  if (from_file && arguments.given.contains("model") &&
      !arguments.given.contains("initial-checkpoint")) {
    model.initial_checkpoint.clear();
  }
  for (const std::string& note : train::take_weight_file(model)) say_once(note);
  if (!from_file) return;
  leave_out_masks(arguments.options);
  fit_sizes();
}

void require_planned_length(const TrainArguments& arguments,
                            const std::optional<train::RunState>& saved) {
  if (!saved || arguments.extend) return;
  const int planned = saved->options.schedule.epochs, now = arguments.options.schedule.epochs;
  require(
      now <= planned, ErrorCode::kMismatch,
      "the run was planned for {} epochs, of which {} are done; --resume {} --epochs {} --extend "
      "trains on, by the schedule of {} epochs",
      planned, saved->epoch, resumed_state(arguments).string(), now, now);
}

}  // namespace

fs::path run_folder(const TrainArguments& arguments, const std::string& model_name) {
  fs::path folder = arguments.output;
  if (folder.empty() && !arguments.resume.empty()) {
    require(arguments.experiment.empty(), ErrorCode::kInvalidArgument,
            "--experiment {}: is a subfolder of --output; give that too, or leave it out to go on "
            "beside {}",
            arguments.experiment, arguments.resume);
    folder = fs::path(arguments.resume).parent_path();
    return folder.empty() ? fs::path(".") : folder;
  }
  if (folder.empty()) {
    require(
        model_name.empty() || stays_inside(model_name), ErrorCode::kInvalidArgument,
        "the model's name '{}' leads out of the folder output/; say with --output where the run "
        "goes",
        model_name);
    folder = fs::path("output") / model_name;
  }
  return arguments.experiment.empty() ? folder : folder / arguments.experiment;
}

std::optional<train::RunState> plan_run(TrainArguments& arguments) {
  if (fs::is_directory(arguments.resume)) {
    arguments.resume = (fs::path(arguments.resume) / "last.safetensors").lexically_normal();
  }
  require(!arguments.extend || (arguments.resumes && arguments.config.empty()),
          ErrorCode::kInvalidArgument,
          "--extend goes with --resume, and without --config: the options are the run's own");
  require(!arguments.extend || arguments.given.contains("epochs"), ErrorCode::kInvalidArgument,
          "--extend needs --epochs: how many the run has in all");
  std::optional<train::RunState> saved = find_saved(arguments);
  train::TrainOptions& options = arguments.options;
  options = base_options(arguments, saved);
  if (arguments.task.wanted) arguments.given["task"] = to_string(*arguments.task.wanted);
  train::read_options(arguments.given, "command line", options);
  if (saved && !arguments.given.contains("nproc") && options.run.nproc == 1) {
    options.run.nproc = saved->options.run.nproc;
  }
  train::validate(options);
  if (!names_model(arguments, saved)) choose_model(options);
  settle_model(arguments, saved);
  require_planned_length(arguments, saved);
  return saved;
}

void divide_batch(TrainArguments& arguments, const std::optional<train::RunState>& saved,
                  dist::World& world) {
  if (!arguments.resumes && !arguments.auto_resume) return;
  train::ScheduleOptions& schedule = arguments.options.schedule;
  const bool said =
      arguments.given.contains("batch-size") || arguments.given.contains("accumulation-steps");
  if (saved && !said && world.rank() == 0) {
    const auto note =
        train::keep_global_batch(saved->options, saved->world, world.size(), schedule);
    if (note) print_note(*note);
  }
  // Other hosts may not see the state.
  const nlohmann::json mine{{"batch-size", schedule.batch_size},
                            {"accumulation-steps", schedule.accumulation_steps}};
  const nlohmann::json first = nlohmann::json::parse(dist::all_gather(world, mine.dump()).front());
  train::read_options(first, "rank 0", arguments.options);
}

}  // namespace asmlp::cli
