// ADE20K's scene parsing data (the folder ADEChallengeData2016 of the MIT Scene Parsing Benchmark),
// and data sets laid out like it: images with the class of every pixel.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "asmlp/dataset/dataset.h"
#include "asmlp/image/image.h"
#include "asmlp/image/label_png.h"

namespace asmlp {

struct SegmentationClass {
  std::string name;
  Color color;  // in which its pixels are shown
};

// The 150 classes in the order of their labels 1..150, with the short names and the colors by
// which mmsegmentation knows them.
const std::vector<SegmentationClass>& ade20k_classes();

struct LabeledImage {
  Image image;       // H x W x 3
  Image labels;      // H x W x 1: classes from 0, 255 where the pixel has none
  std::string name;  // file name of the image, without extension
};

// Brings the labels as they are in the files to classes, in place: 1..classes become 0..classes-1,
// 0 ("other") and 255 become 255. `classes` is 1..254. Another label is Error(kBadFormat), which
// names `what`, the label and its place.
void reduce_labels(Image& labels, int classes, const std::string& what);

// The images of one split, in the order of their names (by bytes):
//   images/{training,validation}/NAME.jpg        or .jpeg, .png, .webp
//   annotations/{training,validation}/NAME.png   8-bit gray or palette; 0 is "other"
// The classes are ADE20K's, unless the folder has a list of its own: a file objectInfo<N>.txt,
// where N, the number of classes, is not 150. Its first line names its tab-separated columns; of
// the others Idx is read, which counts from 1, and Name, up to the first comma. (ADE20K's own
// objectInfo150.txt is not read.) Such classes have the colors of class_color
// (image/class_color.h).
class Ade20k {
 public:
  // Lists the split and checks that every image has a label file. Error(kNotFound) without the
  // folders, without images, or for an image without labels; Error(kBadFormat) for two images of
  // one name and for a class list that breaks the rules above. All name the file or folder.
  Ade20k(const std::filesystem::path& root, Split split);

  int64_t size() const { return static_cast<int64_t>(files_.size()); }
  const std::vector<SegmentationClass>& classes() const { return classes_; }

  // Reads image `index` in [0, size()) with its labels, reduced. May be called from several threads
  // at once. Errors name the file: as decode_image's and decode_label_png's, kMismatch when the
  // sizes differ, kBadFormat for a label that is no class.
  LabeledImage get(int64_t index) const;

  struct Files {
    std::filesystem::path image, labels;
  };
  // Where get(index) reads from.
  const Files& files(int64_t index) const;

 private:
  std::vector<Files> files_;
  std::vector<SegmentationClass> classes_;
};

}  // namespace asmlp
