// Small data sets of the MNIST family for tests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace asmlp::test {

// An IDX file of unsigned bytes.
inline void write_idx(const std::filesystem::path& path, const std::vector<uint32_t>& sizes,
                      const std::string& data) {
  std::string bytes{0, 0, 8, static_cast<char>(sizes.size())};
  for (const uint32_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
  }
  bytes += data;
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
}

// Gray level of an item at row y, column x.
using DrawItem = std::function<int(int label, int y, int x)>;

// The two files of a split ("train" or "t10k") in `folder`, which is created: an item of side x
// side pixels for each label.
inline void write_items(const std::filesystem::path& folder, const std::string& split,
                        const std::vector<int>& labels, const DrawItem& draw, int side = 28) {
  std::filesystem::create_directories(folder);
  std::string images, targets;
  for (const int label : labels) {
    targets += static_cast<char>(label);
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) images += static_cast<char>(draw(label, y, x));
    }
  }
  const auto count = static_cast<uint32_t>(labels.size()), length = static_cast<uint32_t>(side);
  write_idx(folder / (split + "-images-idx3-ubyte"), {count, length, length}, images);
  write_idx(folder / (split + "-labels-idx1-ubyte"), {count}, targets);
}

// A disc whose size and texture say the label (0..9).
inline int draw_disc(int label, int y, int x) {
  const int r = (y - 14) * (y - 14) + (x - 14) * (x - 14);
  return r > 60 + 10 * label ? 0 : 90 + (x * (label + 3) + 5 * y) % 160;
}

// Both splits in `folder`: discs, with labels 0..4 in training and 5..9 in the test split.
inline void write_discs(const std::filesystem::path& folder) {
  write_items(folder, "train", {0, 1, 2, 3, 4, 0, 1, 2}, draw_disc);
  write_items(folder, "t10k", {5, 6, 7, 8, 9}, draw_disc);
}

}  // namespace asmlp::test
