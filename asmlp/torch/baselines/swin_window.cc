#include "asmlp/torch/baselines/swin_window.h"

#include <cmath>

#include "asmlp/torch/baselines/layers.h"
#include "asmlp/torch/ops/batched_gemm.h"

namespace asmlp::nn {

torch::Tensor window_partition(const torch::Tensor& x, int64_t s) {
  const int64_t n = x.size(0), h = x.size(1) / s, w = x.size(2) / s, c = x.size(3);
  return x.reshape({n, h, s, w, s, c}).permute({0, 1, 3, 2, 4, 5}).reshape({n * h * w, s * s, c});
}

torch::Tensor window_reverse(const torch::Tensor& windows, int64_t s, int64_t h, int64_t w) {
  const int64_t c = windows.size(2), n = windows.size(0) / ((h / s) * (w / s));
  return windows.reshape({n, h / s, w / s, s, s, c})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({n, h, w, c});
}

torch::Tensor relative_position_index(int64_t s) {
  const auto token = torch::arange(s * s);
  const auto row = token.div(s, "floor"), column = token.remainder(s);
  const auto rows = row.unsqueeze(1) - row.unsqueeze(0);
  const auto columns = column.unsqueeze(1) - column.unsqueeze(0);
  return ((rows + s - 1) * (2 * s - 1) + columns + s - 1).flatten();
}

torch::Tensor shift_mask(int64_t h, int64_t w, int64_t s, int64_t shift) {
  // Along an axis the rolled map has three parts: whole windows, and in the last window the end of
  // the map followed by its beginning.
  const auto part = [&](int64_t extent) {
    const auto place = torch::arange(extent);
    return place.ge(extent - s).to(torch::kInt64) + place.ge(extent - shift).to(torch::kInt64);
  };
  const auto map = part(h).unsqueeze(1) * 3 + part(w).unsqueeze(0);
  const auto parts = window_partition(map.view({1, h, w, 1}), s).squeeze(2);
  return parts.unsqueeze(1).ne(parts.unsqueeze(2)).to(torch::kFloat32).mul_(-100);
}

WindowAttentionImpl::WindowAttentionImpl(int64_t dim, int64_t window, int64_t heads)
    : window_(window),
      heads_(heads),
      relative_position_bias_table_(
          register_parameter("relative_position_bias_table",
                             torch::zeros({(2 * window - 1) * (2 * window - 1), heads}))),
      qkv_(register_module("qkv", torch::nn::Linear(dim, 3 * dim))),
      proj_(register_module("proj", torch::nn::Linear(dim, dim))),
      relative_position_index_(relative_position_index(window)) {}

torch::Tensor WindowAttentionImpl::forward(const torch::Tensor& windows,
                                           const torch::Tensor& mask) {
  const int64_t count = windows.size(0), tokens = windows.size(1), dim = windows.size(2);
  const auto qkv = project(windows, qkv_)
                       .view({count, tokens, 3, heads_, dim / heads_})
                       .permute({2, 0, 3, 1, 4})
                       .unbind(0);  // 3 of count x heads x tokens x dim / heads
  const double scale = 1 / std::sqrt(double(dim) / double(heads_));
  const auto index = relative_position_index_.to(windows.device());
  auto bias = relative_position_bias_table_.index_select(0, index)
                  .view({tokens, tokens, heads_})
                  .permute({2, 0, 1})
                  .unsqueeze(0);  // 1 x heads x tokens x tokens
  auto scores = batched_product(qkv[0] * scale, qkv[1].transpose(2, 3));
  if (mask.defined()) {
    // One sum for bias and mask, then one for the scores of all images.
    bias = bias + mask.to(bias.dtype()).unsqueeze(1);
    scores = (scores.view({-1, mask.size(0), heads_, tokens, tokens}) + bias)
                 .view({count, heads_, tokens, tokens});
  } else {
    scores = scores + bias;
  }
  const auto mixed = batched_product(torch::softmax(scores, -1), qkv[2]);
  return project(mixed.transpose(1, 2).reshape({count, tokens, dim}), proj_);
}

}  // namespace asmlp::nn
