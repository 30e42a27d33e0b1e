// The lists by which data sets of segmentation name their classes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "asmlp/image/labels/color.h"

namespace asmlp {

struct SegmentationClass {
  std::string name;
  Color color;  // in which its pixels are shown
};

// The 150 classes of ADE20K in the order of their labels 1..150, with the short names and the
// colors by which mmsegmentation knows them.
const std::vector<SegmentationClass>& ade20k_classes();

struct ClassLine {
  std::string name;
  std::optional<Color> color;
};

// A line of a list: NAME, or NAME R G B with numbers of 0..255; spaces, tabs or commas divide.
ClassLine name_and_color(std::string_view text);

struct SegmentationClasses {
  std::vector<SegmentationClass> classes;  // of the labels 1, 2, ...
  bool colored = false;                    // the list has the colors, too
  std::filesystem::path file;
};

// The list in the folder `root`:
//   classes.txt         a line per class: NAME, or NAME R G B; spaces, tabs or commas divide
//   labelmap.txt        CVAT's: a line per class, NAME:R,G,B:parts:actions
//   objectInfo<N>.txt   ADE20K's table of N classes: the first line names its tab-separated
//                       columns; of the others Idx is read, which counts from 1, and Name, up to
//                       the first comma
// Lines that begin with '#' and empty ones at the end are passed over. The first line stands for
// label 1; where it is background, void, unlabeled, ignore or other (of any case, '_' around it),
// it stands for label 0, the pixels without class. objectInfo150.txt and a folder named
// ADEChallengeData2016 mean ADE20K's own classes, unless the table has other names. Classes without
// colors have those of ADE20K's in the same order, from the first again after 150.
//
// Nothing without a list. Error(kBadFormat) for a list that breaks these rules, for 0 or more than
// 254 classes, for a name that comes twice, and for two lists with different names.
std::optional<SegmentationClasses> find_class_list(const std::filesystem::path& root);

}  // namespace asmlp
