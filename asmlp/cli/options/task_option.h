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
  std::string model;  // a weight file, a name of the zoo, or a description
  std::string data;   // a folder
};

// The task: the wanted one, else the model's (by the file's description or tensors), else that of
// the data's layout, else kClassify. What was found and is not kClassify is said on standard error.
// Errors: read_weights'.
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
