// What a model is for.
#pragma once

#include <array>
#include <utility>

namespace asmlp {

enum class Task { kClassify, kDetect, kSegment };
constexpr auto names_of(Task) {
  return std::array{std::pair{Task::kClassify, "classify"}, std::pair{Task::kDetect, "detect"},
                    std::pair{Task::kSegment, "segment"}};
}
const char* to_string(Task task);

// What a model of the task is called: "classifier", "detector", "segmentor".
const char* model_kind(Task task);

}  // namespace asmlp
