// The loops over classes, with AVX-512 or AVX2 where the machine has it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "asmlp/segmentation/axis_taps.h"

namespace asmlp::segment {

// The label of what is not decided yet; there are at most 255 classes.
inline constexpr uint8_t kUndecided = 255;

// labels[i] = the class of the largest of `classes` values from values + i * stride on: the first
// of equal ones; never one that is not a number, 0 where all are not.
void label_cells(const float* values, int64_t stride, int64_t cells, int classes, uint8_t* labels);

// What a view gives to one line of the image: some lines of its map, and how the pixels of the line
// depend on the cells of those.
struct ViewLine {
  std::vector<const float*> lines;     // each of `cells` cells
  std::vector<const uint8_t*> labels;  // of the cells of each line (label_cells)
  const float* weights = nullptr;      // one per line
  const AxisTaps* columns = nullptr;
  int64_t cells = 0;
  int64_t stride = 0;     // from cell to cell
  bool mirrored = false;  // pixel x of the image is pixel width - 1 - x of the view
};

// Labels lines of one image; not thread-safe. Most pixels take the label that all cells around them
// have, without any arithmetic. Memory: cells * classes numbers per view.
class LineLabeler {
 public:
  LineLabeler(int classes, int width);

  // The class of each of `width` pixels: of one view the largest logit, of several the largest sum
  // of the probabilities (softmax of each). Ties and what is not a number: as label_cells.
  void label(std::span<const ViewLine> views, uint8_t* out);

 private:
  // The scratch of one view: the lines of its map blended into one, as far as it is needed.
  struct Blended {
    std::vector<uint8_t> labels;  // of a cell: that of all lines, or kUndecided
    std::vector<uint8_t> ready;   // of a cell: whether `values` has it
    std::unique_ptr<float[]> values;
    size_t size = 0;  // of `values`, which only what is ready fills
  };
  void compare(const ViewLine& view, Blended& blended) const;
  void compute(std::span<const ViewLine> views, uint8_t* out);

  int classes_;
  int64_t width_;
  std::vector<Blended> blended_;
  std::vector<int32_t> undecided_;             // pixels
  std::vector<float> logits_, probabilities_;  // of a pixel
  std::vector<const float*> sources_;
};

}  // namespace asmlp::segment
