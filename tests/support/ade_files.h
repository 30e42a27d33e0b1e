// A data set of ADE20K's layout, for tests.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "asmlp/dataset/ade20k/ade20k.h"
#include "asmlp/image/encode.h"
#include "asmlp/torch/data/augment/random.h"

namespace asmlp::segment {

// Noise of smooth color with labels 0..classes (0 is none) of one per quarter, as PNG, one image
// per size, and the list of `classes` names.
inline void write_ade(const std::filesystem::path& root,
                      const std::vector<std::pair<int, int>>& sizes, int classes,
                      const std::string& split = "validation") {
  const auto images = root / "images" / split, labels = root / "annotations" / split;
  std::filesystem::create_directories(images);
  std::filesystem::create_directories(labels);
  std::ofstream list(root / ("objectInfo" + std::to_string(classes) + ".txt"));
  list << "Idx\tName\n";
  for (int k = 1; k <= classes; ++k) list << k << "\tclass " << k << '\n';
  data::Random random(17);
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto [h, w] = sizes[i];
    Image image(h, w, 3), map(h, w, 1);
    uint8_t quarters[4];
    for (uint8_t& label : quarters) label = static_cast<uint8_t>(random.below(classes + 1));
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) {
        const uint8_t label = quarters[2 * (2 * y / h) + 2 * x / w];
        map.row(y)[x] = label;
        for (int c = 0; c < 3; ++c) {
          image.row(y)[3 * x + c] =
              static_cast<uint8_t>((label * 60 + c * 40 + y * 2 + random.below(20)) % 256);
        }
      }
    }
    const std::string name = "image_" + std::to_string(i) + ".png";
    write_png(images / name, image);
    write_label_png(labels / name, map);
  }
}

}  // namespace asmlp::segment
