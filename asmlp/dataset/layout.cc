#include "asmlp/dataset/layout.h"

#include <system_error>

#include "asmlp/dataset/coco_layout.h"

namespace asmlp {
namespace fs = std::filesystem;

std::optional<Task> task_of_layout(const fs::path& data) {
  std::error_code ignored;
  if (!list_coco(data).empty()) return Task::kDetect;
  for (const char* split : {"training", "validation"}) {
    if (fs::is_directory(data / "images" / split, ignored) &&
        fs::is_directory(data / "annotations" / split, ignored)) {
      return Task::kSegment;
    }
  }
  return std::nullopt;
}

}  // namespace asmlp
