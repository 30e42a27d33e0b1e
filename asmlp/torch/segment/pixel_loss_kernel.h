// The loop behind pixel_loss.h: single-threaded, on plain arrays, with AVX-512 or AVX2 where the
// machine has it.
#pragma once

#include <cstdint>
#include <vector>

namespace asmlp::segment {

// How an axis is resized (bilinear, corners not aligned):
//   out[i] = in[low[i]] + part[i] * (in[high[i]] - in[low[i]]).
struct Taps {
  Taps(int64_t in, int64_t out);
  std::vector<int32_t> low, high;  // neither ever falls
  std::vector<float> part;         // in [0, 1)
};

// One image: logits are classes x h x w, labels are rows.size x columns.size.
struct PixelLossImage {
  const float* logits;
  int64_t classes, height, width;
  const uint8_t* labels;
  const Taps& rows;
  const Taps& columns;
  const float* weights;  // of the classes; null: all 1
  int ignored;           // label of the pixels that count nothing
};

struct PixelSums {
  double loss = 0;
  int64_t right = 0;    // no class has a larger logit than the label's
  int64_t counted = 0;  // pixels that are not ignored
  int wrong = -1;       // a label that is no class, or -1
};

// What the rows [begin, end) of the labels add to the weighted cross entropy. `d_logits`, unless
// null, is classes x (rows.high[end - 1] + 1 - rows.low[begin]) x width and receives the gradient
// of `loss` with respect to those rows of the logits.
PixelSums pixel_loss_of_rows(const PixelLossImage& image, int64_t begin, int64_t end,
                             float* d_logits);

}  // namespace asmlp::segment
