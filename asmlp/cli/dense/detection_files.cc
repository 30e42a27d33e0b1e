#include "asmlp/cli/dense/detection_files.h"

#include <fmt/format.h>

#include <ostream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/model/spec.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {

namespace fs = std::filesystem;

DetectionRows::DetectionRows()
    : csv_(csv_line(
          {"filename", "index", "label", "score", "x1", "y1", "x2", "y2", "mask_pixels"})) {}

void DetectionRows::add(const fs::path& file, std::span<const detect::Detection> found,
                        const std::vector<std::string>& classes) {
  for (const detect::Detection& d : found) {
    std::vector<std::string> cells{file.string(), std::to_string(d.label),
                                   class_label(classes, d.label), fmt::format("{}", d.score)};
    for (const float side : d.box) cells.push_back(fmt::format("{}", side));
    cells.push_back(std::to_string(mask_area(d.mask)));
    csv_ += csv_line(cells);
  }
}

std::string yolo_lines(std::span<const detect::Detection> found, int height, int width,
                       double threshold, bool scores) {
  std::string text;
  for (const detect::Detection& d : found) {
    if (d.score < threshold) continue;
    const auto& [x1, y1, x2, y2] = d.box;
    text += fmt::format("{} {:.6f} {:.6f} {:.6f} {:.6f}", d.label, (x1 + x2) / 2 / width,
                        (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height);
    if (scores) text += fmt::format(" {:.6f}", d.score);
    text += '\n';
  }
  return text;
}

YoloFolder::YoloFolder(const fs::path& folder, const std::vector<std::string>& classes,
                       int num_classes, double threshold, bool scores)
    : folder_("--yolo", folder), threshold_(threshold), scores_(scores) {
  // An image of that name gets another one.
  const fs::path list = folder_.next("classes.txt") += ".txt";
  write_file_atomically(list, [&](std::ostream& out) {
    for (int k = 0; k < num_classes; ++k) out << class_label(classes, k) << '\n';
  });
}

fs::path YoloFolder::write(const fs::path& file, int height, int width,
                           std::span<const detect::Detection> found) {
  const fs::path path = folder_.next(file) += ".txt";
  const std::string text = yolo_lines(found, height, width, threshold_, scores_);
  write_file_atomically(path, [&](std::ostream& out) { out << text; });
  return path;
}

}  // namespace asmlp::cli
