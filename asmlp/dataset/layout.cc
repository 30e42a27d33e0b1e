#include "asmlp/dataset/layout.h"

#include "asmlp/dataset/coco_layout.h"
#include "asmlp/dataset/folder.h"

namespace asmlp {
namespace fs = std::filesystem;

std::optional<Task> task_of_layout(const fs::path& data) {
  if (!list_coco(data).empty()) return Task::kDetect;
  for (const char* split : {"training", "validation"}) {
    if (is_folder(data / "images" / split) && is_folder(data / "annotations" / split)) {
      return Task::kSegment;
    }
  }
  return std::nullopt;
}

}  // namespace asmlp
