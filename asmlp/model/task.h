// The names of tasks and of their models.
#pragma once

#include <array>
#include <utility>

#include "asmlp/enums.hpp"  // Task

namespace asmlp {

constexpr auto names_of(Task) {
  return std::array{std::pair{Task::kClassify, "classify"}, std::pair{Task::kDetect, "detect"},
                    std::pair{Task::kSegment, "segment"}};
}

// What a model of the task is called: "classifier", "detector", "segmentor".
const char* model_kind(Task task);

}  // namespace asmlp
