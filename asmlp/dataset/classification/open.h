// What the readers of this folder share.
#pragma once

#include <cstdint>
#include <filesystem>

#include "asmlp/dataset/dataset.h"

namespace asmlp {

// True when `root` holds any of the four IDX files of the MNIST family, plain or gzip.
bool has_idx_files(const std::filesystem::path& root);

// Error(kInvalidArgument) unless `index` is in [0, dataset.size()).
void check_index(const Dataset& dataset, int64_t index);

}  // namespace asmlp
