// Names of classes that a file of weights does not hold.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/model/description/description.h"

namespace asmlp::cli {

// One name per line, in UTF-8 (with or without a byte order mark); spaces and CR at the end of a
// line are dropped, and so are empty lines at the end. Error(kBadFormat) for UTF-16.
std::vector<std::string> read_class_map(const std::filesystem::path& path);

// Gives the model of the file `file` the names in the file `class_map`, or, when that is "" and it
// has none, those of the data set that published classifiers (ImageNet), detectors (COCO), and
// segmentors (ADE20K) are for, if it has as many; `notes` (may be null) then says so.
// Error(kMismatch) for another number of lines.
void name_classes(Description& model, const std::string& class_map,
                  const std::filesystem::path& file, std::vector<std::string>* notes = nullptr);

}  // namespace asmlp::cli
