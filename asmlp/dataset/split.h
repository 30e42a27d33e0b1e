// The parts of a data set by the names that people give them.
#pragma once

#include <string>
#include <vector>

#include "asmlp/dataset/dataset.h"

namespace asmlp {

// The names of the folders that may hold the split `name`, the likeliest first. "train" and
// "training" are the same, as are "val", "valid" and "validation"; any other name stands for
// itself. "" is what is measured by default: the validation split, else the test split.
// Error(kInvalidArgument) for a name that is no file name ("a/b", "..").
std::vector<std::string> split_folders(const std::string& name);

// The name of a split of training: "train" and "".
std::string split_name(Split split);

// "train, val, test", or "none": what there is, for messages.
std::string listed(const std::vector<std::string>& names);

}  // namespace asmlp
