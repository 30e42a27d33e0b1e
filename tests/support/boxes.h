// What the tests of the detection operators share.
#pragma once

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"

namespace asmlp::detect {

// N x 4 fp32 of N boxes written one after the other.
inline torch::Tensor boxes_of(std::initializer_list<float> edges) {
  return torch::tensor(std::vector<float>(edges)).view({-1, 4});
}

inline torch::Tensor indices_of(std::initializer_list<int64_t> values) {
  return torch::tensor(std::vector<int64_t>(values), torch::kInt64);
}

inline torch::Tensor values_of(std::initializer_list<float> values) {
  return torch::tensor(std::vector<float>(values));
}

// Boxes with corners on a grid of `step` in [0, extent), from LibTorch's generator.
inline torch::Tensor random_boxes(int64_t count, double extent, double step) {
  const auto corner = torch::floor(torch::rand({count, 2}) * extent / step) * step;
  const auto size = torch::floor(torch::rand({count, 2}) * extent / 2 / step) * step;
  return torch::cat({corner, corner + size}, 1);
}

// A tensor of a golden file (fp32 or int64) as one of LibTorch.
inline torch::Tensor golden(const TensorMap& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  require(found != tensors.end(), ErrorCode::kNotFound, "the golden file lacks {}", name);
  const Tensor& tensor = found->second;
  auto result =
      torch::empty(tensor.shape, tensor.dtype == DType::kI64 ? torch::kInt64 : torch::kFloat32);
  std::memcpy(result.data_ptr(), tensor.bytes.data(), tensor.bytes.size());
  return result;
}

inline double max_difference(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.sizes() != b.sizes()) return INFINITY;
  return a.numel() == 0 ? 0.0 : (a - b).abs().max().item<double>();
}

// f() with one thread and with two.
template <typename F>
auto with_threads(int threads, const F& f) {
  const int before = at::get_num_threads();
  at::set_num_threads(threads);
  auto result = f();
  at::set_num_threads(before);
  return result;
}

}  // namespace asmlp::detect
