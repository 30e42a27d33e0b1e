// ADE20K's scene parsing data (the folder ADEChallengeData2016 of the MIT Scene Parsing Benchmark),
// and data sets laid out like it: images with the class of every pixel.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/dataset/ade20k/class_list.h"
#include "asmlp/dataset/dataset.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/image.h"
#include "asmlp/image/labels/label_png.h"

namespace asmlp {

struct LabeledImage {
  Image image;       // H x W x 3
  Image labels;      // H x W x 1: classes from 0, 255 where the pixel has none
  std::string name;  // file name of the image, without extension
};

// Brings the labels as they are in the files to classes, in place: 1..classes become 0..classes-1,
// 0 ("other") and 255 become 255. `classes` is 1..254. Another label is Error(kBadFormat), which
// names `what`, the label and its place.
void reduce_labels(Image& labels, int classes, const std::string& what);

// Brings classes to their places in another list (match_classes): label k becomes places[k], one
// that has none there (255) stays.
void relabel(Image& labels, std::span<const int> places);

// The images of one split, in the order of their names (by bytes):
//   images/SPLIT/NAME.jpg        or another of image_extensions()
//   annotations/SPLIT/NAME.png   8-bit gray or palette; label 0 is no class ("other", "void")
// where SPLIT is training (or train), validation (or val), test, or any other folder of that name
// in both. The classes are those of a list in the folder (class_list.h). Without one they have no
// names, and until assume_classes() there are none.
class Ade20k {
 public:
  // Lists the split and checks that every image has a label file. Error(kNotFound) without the
  // folders (saying which splits there are), without images, or for an image without labels;
  // Error(kBadFormat) for two images of one name and for a class list that breaks its rules. All
  // name the file or folder.
  Ade20k(const std::filesystem::path& root, Split split);
  // The split that a user names (split_folders of dataset/split.h).
  Ade20k(const std::filesystem::path& root, const std::string& split);

  // The split without about `fraction` of its images, and these (hold_out, by the images' names).
  // Errors: hold_out's.
  std::pair<Ade20k, Ade20k> hold_out(double fraction, uint64_t seed) const;

  const std::string& split() const { return split_; }  // the name of the folder that is read
  int64_t size() const { return static_cast<int64_t>(files_.size()); }
  const std::vector<SegmentationClass>& classes() const { return classes_; }
  // Whether a list names the classes, and the file.
  bool named() const { return named_; }
  const std::filesystem::path& class_file() const { return class_file_; }
  // The colors of the classes, where the list has them; else empty.
  std::vector<Color> palette() const;
  // The classes of data without a list: 1..count, called "1", "2" and so on. `count` is 1..254.
  void assume_classes(int count);

  // How the images are decoded from now on; by default as OpenCV does. Where EXIF orientation is
  // applied, labels that were made on the stored pixels keep those.
  void set_decoding(const DecodeOptions& decoding) { decoding_ = decoding; }
  const DecodeOptions& decoding() const { return decoding_; }
  // Where images are looked up before their files are read (dataset/cache).
  using FindImage = std::function<std::optional<Image>(int64_t index)>;
  void set_kept(FindImage find) { kept_ = std::move(find); }
  // One sentence about the files that are no images (LeftOut::note); empty when there are none.
  const std::string& left_out() const { return left_out_; }

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
  DecodeOptions decoding_{.style = PixelStyle::kOpenCv};
  FindImage kept_;
  std::string left_out_;
  std::string split_;
  bool named_ = false, colored_ = false;
  std::filesystem::path class_file_;
};

// The names of the classes in their order.
std::vector<std::string> class_names(const Ade20k& data);

}  // namespace asmlp
