#include "asmlp/cli/options/task_option.h"

#include <fmt/format.h>

#include <filesystem>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/layout.h"
#include "asmlp/model/description/description.h"
#include "asmlp/schema/fields.h"
#include "asmlp/schema/text.h"
#include "asmlp/weights/weight_file.h"

namespace asmlp::cli {
namespace {

constexpr const char* kAuto = "auto";

const char* heading_of(Task task) {
  switch (task) {
    case Task::kDetect:
      return "Detectors";
    case Task::kSegment:
      return "Segmentors";
    case Task::kClassify:
      break;
  }
  return "Classifiers";
}

// Nothing for a word that is neither a file nor a known name: whoever loads it says so.
std::optional<Task> task_of_model(const std::string& model) {
  if (model.empty()) return std::nullopt;
  if (is_json_or_yaml(model)) return resolve_description(model).task();
  if (std::filesystem::exists(model)) return read_weights(model).task();
  if (!is_zoo_name(model)) return std::nullopt;
  return named_description(model).task();
}

}  // namespace

void add_task_option(CLI::App& app, TaskOption& option) {
  std::vector<std::string> names{kAuto};
  for (const auto& [task, name] : names_of(Task{})) names.emplace_back(name);
  app.add_option_function<std::string>(
         "--task",
         [&option](const std::string& name) {
           if (name == kAuto) {
             option.wanted.reset();
           } else {
             option.wanted = value_named<Task>(name, "--task");
           }
         },
         "auto (default: by the model, else by the layout of the data), classify, detect or "
         "segment")
      ->check(CLI::IsMember(names))
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeFirst)
      ->type_name("NAME");
}

TaskDecision find_task(const TaskOption& option, const TaskEvidence& evidence) {
  // Whoever loads the model finds out if it is of another task than the wanted one.
  if (option.wanted) return {*option.wanted, ""};
  for (const std::string& model : {evidence.model, evidence.architecture}) {
    if (const auto task = task_of_model(model)) {
      return {*task, fmt::format("{} is a {}", model, model_kind(*task))};
    }
  }
  if (const auto task = evidence.data.empty() ? std::nullopt : task_of_layout(evidence.data)) {
    return {*task, fmt::format("{} is laid out as {} is", evidence.data,
                               *task == Task::kDetect ? "COCO" : "ADE20K")};
  }
  return {};
}

Task decide_task(const TaskOption& option, const TaskEvidence& evidence) {
  const TaskDecision decision = find_task(option, evidence);
  if (decision.task != Task::kClassify && !decision.reason.empty()) {
    print_note(fmt::format("task: {} ({})", to_string(decision.task), decision.reason));
  }
  return decision.task;
}

CLI::Option* TaskOptions::add(CLI::Option* option, Task task) {
  options_.emplace_back(option, task);
  return option->group(heading_of(task));
}

void TaskOptions::check(Task task) const {
  for (const auto& [option, own] : options_) {
    require(own == task || option->count() == 0, ErrorCode::kInvalidArgument,
            "{} is for {}s, this is a {}; leave it out", option->get_name(), model_kind(own),
            model_kind(task));
  }
}

}  // namespace asmlp::cli
