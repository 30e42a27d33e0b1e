// Windows of Swin: cutting a map into them, and attention inside them.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace asmlp::nn {

// N x h x w x C to (N * h/s * w/s) x s*s x C: the windows of an image row by row, each with its
// tokens row by row. h and w are multiples of s.
torch::Tensor window_partition(const torch::Tensor& x, int64_t s);

// The inverse of window_partition for a map of h x w tokens.
torch::Tensor window_reverse(const torch::Tensor& windows, int64_t s, int64_t h, int64_t w);

// For every pair of tokens (i, j) of an s x s window, s^4 int64 in row-major order: the row
// (2s - 1) * (row(i) - row(j) + s - 1) + column(i) - column(j) + s - 1 of the bias table.
torch::Tensor relative_position_index(int64_t s);

// What a window may not attend to on an h x w map that was rolled by -shift in both axes: of the
// tokens of one window, those that come from different parts of the map. (h/s * w/s) x s*s x s*s
// fp32: -100 for such pairs, as the authors have it, else 0. h and w are multiples of s.
torch::Tensor shift_mask(int64_t h, int64_t w, int64_t s, int64_t shift);

// Multi-head self-attention inside windows: "qkv", "proj" and "relative_position_bias_table".
class WindowAttentionImpl : public torch::nn::Module {
 public:
  // `heads` divides `dim`; `window` is the side of a window in tokens.
  WindowAttentionImpl(int64_t dim, int64_t window, int64_t heads);

  // windows is (N * count) x window^2 x dim; mask is an undefined tensor or count x window^2 x
  // window^2 (shift_mask).
  torch::Tensor forward(const torch::Tensor& windows, const torch::Tensor& mask);

 private:
  int64_t window_, heads_;
  torch::Tensor relative_position_bias_table_;  // (2 window - 1)^2 x heads
  torch::nn::Linear qkv_, proj_;
  // A buffer in the authors' module; here no part of the state, because it holds no weights.
  torch::Tensor relative_position_index_;
};
TORCH_MODULE(WindowAttention);

}  // namespace asmlp::nn
