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

// What a view gives to one line of the image: some lines of its map, in parts (the windows), and
// how the pixels of the line depend on their cells. Parts that no pixel asked for needs are null.
struct ViewLine {
  std::vector<const float*> values;    // of line i, window k: [i * windows + k]
  std::vector<const uint8_t*> labels;  // as label_cells gives them, in the same order
  const float* weights = nullptr;      // one per line
  int lines = 0;
  int windows = 0;
  int32_t cells = 0;   // of a window
  int64_t stride = 0;  // from cell to cell
  const AxisTaps* columns = nullptr;
  bool mirrored = false;  // pixel x of the image is pixel width - 1 - x of the view
};

// Labels lines of one image; not thread-safe. Most pixels take the label that all cells around them
// have, without any arithmetic. Memory: for each view, the logits of one line of the windows that
// are asked for.
class LineLabeler {
 public:
  LineLabeler(int classes, int width);

  // The class of each of the pixels [first, end) of the line, out[x] of pixel x: of one view the
  // largest logit, of several the largest sum of the probabilities (softmax of each). Ties and what
  // is not a number: as label_cells.
  void label(std::span<const ViewLine> views, int first, int end, uint8_t* out);

 private:
  // The scratch of one view: the lines of its map blended into one, as far as it is needed.
  struct Blended {
    int32_t first = 0;            // cell that the others count from
    std::vector<uint8_t> labels;  // of a cell: that of all lines, or kUndecided
    std::vector<uint8_t> ready;   // of a cell: whether `values` has it
    std::unique_ptr<float[]> values;
    size_t size = 0;  // of `values`, which only what is ready fills
  };
  size_t pixel(const ViewLine& view, int64_t x) const {
    return static_cast<size_t>(view.mirrored ? width_ - 1 - x : x);
  }
  void compare(const ViewLine& view, int first, int end, Blended& blended) const;
  void compute(std::span<const ViewLine> views, uint8_t* out);

  int classes_;
  int64_t width_;
  std::vector<Blended> blended_;
  std::vector<int32_t> undecided_;             // pixels
  std::vector<float> logits_, probabilities_;  // of a pixel
  std::vector<const float*> sources_;
};

}  // namespace asmlp::segment
