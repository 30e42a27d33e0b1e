// Names of classes that a file of weights does not hold.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/dataset/class_match.h"
#include "asmlp/model/description/description.h"

namespace asmlp::cli {

// One name per line, in UTF-8 (with or without a byte order mark); spaces and CR at the end of a
// line are dropped, and so are empty lines at the end. Error(kBadFormat) for UTF-16.
std::vector<std::string> read_class_map(const std::filesystem::path& path);

// match_classes (dataset/class_match.h) with all that is known of names; says on standard error
// what was assumed.
ClassMatch match_names(const ClassSide& data, const ClassSide& model);

// The classes that a file lists, a line each, as numbers of the model's classes: plain numbers, or
// names that match_classes finds. Ascending. Error(kBadFormat) for an empty list, a number that is
// no class or one that comes twice; for names as match_classes.
std::vector<int> read_class_subset(const std::filesystem::path& path, const ClassSide& model);

// Gives the model of the file `file` the names in the file `class_map` (a segmentor also the colors
// when all lines are NAME R G B), or, when that is "" and it
// has none, those of the data set that published classifiers (ImageNet), detectors (COCO), and
// segmentors (ADE20K) are for, if it has as many; `notes` (may be null) then says so.
// Error(kMismatch) for another number of lines.
void name_classes(Description& model, const std::string& class_map,
                  const std::filesystem::path& file, std::vector<std::string>* notes = nullptr);

}  // namespace asmlp::cli
