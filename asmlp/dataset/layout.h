// Which task a folder of data is for, by its layout alone.
#pragma once

#include <filesystem>
#include <optional>

#include "asmlp/model/task.h"

namespace asmlp {

// kDetect where COCO annotation files are found (coco_layout.h), kSegment for ADE20K's layout
// (images/ and annotations/ with training/ or validation/ in both). Nothing for every other folder
// or file: class folders, IDX files and tar shards are found out by who opens them.
std::optional<Task> task_of_layout(const std::filesystem::path& data);

}  // namespace asmlp
