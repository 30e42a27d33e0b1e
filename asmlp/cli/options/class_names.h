// Names of classes that a file of weights does not hold.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/model/description/description.h"

namespace asmlp::cli {

// One name per line; empty lines at the end are dropped.
std::vector<std::string> read_class_map(const std::filesystem::path& path);

// Gives the model of the file `file` the names in the file `class_map`, or, when that is "" and it
// has none, those of the data set that published detectors (COCO) and segmentors (ADE20K) are for,
// if it has as many. Error(kMismatch) for another number of lines.
void name_classes(Description& model, const std::string& class_map,
                  const std::filesystem::path& file);

}  // namespace asmlp::cli
