#include "asmlp/dataset/layout.h"

#include <system_error>

namespace asmlp {
namespace {

namespace fs = std::filesystem;

bool holds_instances(const fs::path& annotations) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(annotations, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("instances_") && name.ends_with(".json")) return true;
  }
  return false;
}

}  // namespace

std::optional<Task> task_of_layout(const fs::path& data) {
  std::error_code ignored;
  if (holds_instances(data / "annotations")) return Task::kDetect;
  for (const char* split : {"training", "validation"}) {
    if (fs::is_directory(data / "images" / split, ignored) &&
        fs::is_directory(data / "annotations" / split, ignored)) {
      return Task::kSegment;
    }
  }
  return std::nullopt;
}

}  // namespace asmlp
