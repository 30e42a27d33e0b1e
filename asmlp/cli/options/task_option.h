// --task, for the commands that depend on what a model is for.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/model/task.h"

namespace asmlp::cli {

// auto, or what the user says.
struct TaskOption {
  std::optional<Task> wanted;
};
void add_task_option(CLI::App& app, TaskOption& option);

// What a command line says about the task without naming it; "" is not said.
struct TaskEvidence {
  std::string model;              // a weight file, a name of the zoo, or a description
  std::string architecture = {};  // a name or a description, where the model does not show it
  std::string data;               // a folder
};

// A task, and why it is that one: "mask.safetensors is a detector", "out/scenes is laid out as COCO
// is"; "" where nothing shows another than the default, kClassify.
struct TaskDecision {
  Task task = Task::kClassify;
  std::string reason;
};

// The wanted task, else the model's (by the file's description or tensors), else the architecture's,
// else that of the data's layout, else kClassify. Errors: read_weights'.
TaskDecision find_task(const TaskOption& option, const TaskEvidence& evidence);

// find_task, said on standard error where it is not kClassify and the user has not said it.
Task decide_task(const TaskOption& option, const TaskEvidence& evidence);

// The options of a command that mean something for some of the tasks only.
class TaskOptions {
 public:
  // Remembers the option and puts it into the task's part of the help.
  CLI::Option* add(CLI::Option* option, Task task);
  // Error(kInvalidArgument) naming the first option given that is of another task.
  void check(Task task) const;

 private:
  std::vector<std::pair<const CLI::Option*, Task>> options_;
};

}  // namespace asmlp::cli
