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
         "auto (default: by the model, else by the layout of the data), classify, detect or segment")
      ->check(CLI::IsMember(names))
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeFirst)
      ->type_name("NAME");
}

Task decide_task(const TaskOption& option, const TaskEvidence& evidence) {
  if (option.wanted) return *option.wanted;  // whoever loads the model finds out if it is another's
  const std::optional<Task> of_model = task_of_model(evidence.model);
  if (of_model) {
    if (*of_model != Task::kClassify) {
      print_note(fmt::format("task: {} ({} is a {})", to_string(*of_model), evidence.model,
                             model_kind(*of_model)));
    }
    return *of_model;
  }
  const std::optional<Task> of_data =
      evidence.data.empty() ? std::nullopt : task_of_layout(evidence.data);
  if (of_data) {
    print_note(fmt::format("task: {} ({} is laid out as {} is)", to_string(*of_data), evidence.data,
                           *of_data == Task::kDetect ? "COCO" : "ADE20K"));
  }
  return of_data.value_or(Task::kClassify);
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
