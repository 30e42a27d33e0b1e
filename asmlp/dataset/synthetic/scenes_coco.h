// COCO's instance annotations of synthetic scenes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/dataset/synthetic/scene.h"

namespace asmlp {

// Lengths of the runs of pixels that are not `value` and that are, in turn, from the top left
// corner down the columns: the "counts" of a COCO mask. The first may be 0; they add up to the
// pixels.
std::vector<int64_t> run_lengths(const Image& map, uint8_t value);

// Collects the annotations of one split, image after image, as text (about 400 bytes an object).
class SceneAnnotations {
 public:
  // Numbers the image 1, 2, ... in the order of the calls.
  void add(const Scene& scene, const std::string& file_name);
  // Writes the file; classes are the categories 1, 2, ...
  void write(const std::filesystem::path& path, const std::vector<std::string>& classes) const;

 private:
  std::string images_, annotations_;  // JSON objects, separated
  int64_t image_count_ = 0, object_count_ = 0;
};

}  // namespace asmlp
