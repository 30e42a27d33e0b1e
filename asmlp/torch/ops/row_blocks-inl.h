// What the operators made of projections share: rows in blocks that stay in the cache, and the
// gradients of weights, which are sums over all rows.
#pragma once

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <algorithm>
#include <vector>

#include "asmlp/torch/ops/gemm.h"
#include "asmlp/torch/ops/kernels.h"

namespace asmlp::nn {

// Rows of `width` elements in all that fill 0.8 MB of a core's L2 cache in fp32, but enough of them
// to pay for reading the weights (and, in the backward pass, their gradients) once per block.
inline int64_t block_rows(int64_t width, int64_t least) {
  return std::clamp<int64_t>(196'608 / width, least, 448);
}

// [begin, end) in even blocks of about `block` rows: body(first, last) for each.
template <typename Body>
void for_blocks(int64_t begin, int64_t end, int64_t block, const Body& body) {
  const int64_t rows = end - begin, count = std::max<int64_t>(1, (rows + block - 1) / block);
  for (int64_t i = 0; i < count; ++i)
    body(begin + rows * i / count, begin + rows * (i + 1) / count);
}

// The same, spread over LibTorch's threads.
template <typename Body>
void parallel_blocks(int64_t rows, int64_t block, const Body& body) {
  at::parallel_for(0, rows, block,
                   [&](int64_t begin, int64_t end) { for_blocks(begin, end, block, body); });
}

// Packs with all threads what is large enough for them.
template <typename T>
void pack(PackedWeights<T>& factor) {
  if (factor.panels() == 0) return;
  at::parallel_for(0, factor.panels(), 1 + (1 << 16) / factor.panel_elements(),
                   [&](int64_t begin, int64_t end) { factor.pack(begin, end); });
}

template <typename T>
const T* data_or_null(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<T>() : nullptr;
}

// Slices of the rows that sum apart, one thread each.
inline int64_t slice_count(int64_t rows, int64_t block) {
  return std::clamp<int64_t>(rows / block, 1, at::get_num_threads());
}

// dW (out x in) and db of one projection, summed by `slices` threads apart.
class ProjectionGradient {
 public:
  ProjectionGradient(int64_t slices, int64_t out, int64_t in, const torch::TensorOptions& options)
      : in_(in),
        out_(out),
        weight_(torch::empty({slices, out, in}, options)),
        bias_(torch::zeros({slices, out}, options)) {}

  // What the slice's rows must be added to.
  template <typename T>
  T* bias(int64_t slice) const {
    return bias_.data_ptr<T>() + slice * out_;
  }
  // dW += dz^T x, or dW = dz^T x for the slice's first rows.
  template <typename T>
  void add(int64_t slice, bool first, const T* dz, const T* x, int64_t rows,
           std::vector<T>& scratch) const {
    multiply_transposed(dz, out_, x, in_, rows, out_, in_,
                        weight_.data_ptr<T>() + slice * out_ * in_, in_, !first, scratch);
  }

  torch::Tensor weight() const { return total(weight_); }
  torch::Tensor bias() const { return total(bias_); }

 private:
  static torch::Tensor total(const torch::Tensor& parts) {
    return parts.size(0) == 1 ? parts[0] : parts.sum(0);
  }
  int64_t in_, out_;
  torch::Tensor weight_, bias_;
};

}  // namespace asmlp::nn
