// What `detect` writes besides pictures and COCO's files: rows of a CSV file, and YOLO's labels.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "asmlp/cli/images/output_folder.h"
#include "asmlp/detection/detection.h"

namespace asmlp::cli {

// One row per detection: filename, index and label of the class, score, x1, y1, x2, y2 in pixels,
// mask_pixels.
class DetectionRows {
 public:
  DetectionRows();
  void add(const std::filesystem::path& file, std::span<const detect::Detection> found,
           const std::vector<std::string>& classes);
  const std::string& csv() const { return csv_; }

 private:
  std::string csv_;
};

// The text files that YOLO's tools read: a line "CLASS CX CY W H" per object, the box's center and
// sides as shares of the image's, with the score as a sixth number when `scores` is set.
std::string yolo_lines(std::span<const detect::Detection> found, int height, int width,
                       double threshold, bool scores);

// A folder with such a file per image, empty where nothing was found, and classes.txt.
class YoloFolder {
 public:
  // Makes the folder and writes classes.txt; Error(kIo).
  YoloFolder(const std::filesystem::path& folder, const std::vector<std::string>& classes,
             int num_classes, double threshold, bool scores);
  std::filesystem::path write(const std::filesystem::path& file, int height, int width,
                              std::span<const detect::Detection> found);

 private:
  OutputFolder folder_;
  double threshold_;
  bool scores_;
};

}  // namespace asmlp::cli
