// Tensors as the plain arrays of asmlp/detection, and LibTorch's threads.
#pragma once

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <algorithm>
#include <functional>
#include <span>
#include <type_traits>
#include <vector>

#include "asmlp/detection/box.h"

namespace asmlp::detect {

// The same numbers in fp32 on the CPU, row-major, without a gradient.
inline torch::Tensor on_cpu(const torch::Tensor& tensor) {
  return tensor.detach().to(torch::kCPU, torch::kFloat).contiguous();
}

// Of what on_cpu returned.
inline std::span<const float> floats_of(const torch::Tensor& dense) {
  return {dense.data_ptr<float>(), static_cast<size_t>(dense.numel())};
}

// The rows of an N x 4 tensor that on_cpu returned.
inline std::span<const Box> boxes_in(const torch::Tensor& dense) {
  static_assert(sizeof(Box) == 4 * sizeof(float));
  return {reinterpret_cast<const Box*>(dense.data_ptr<float>()),
          static_cast<size_t>(dense.size(0))};
}

// N x 4, fp32 on the CPU.
inline torch::Tensor tensor_of(std::span<const Box> boxes) {
  auto tensor = torch::empty({static_cast<int64_t>(boxes.size()), 4}, torch::kFloat);
  std::ranges::copy(boxes, reinterpret_cast<Box*>(tensor.data_ptr<float>()));
  return tensor;
}

// N numbers of their own type.
template <typename T>
requires std::is_arithmetic_v<T> torch::Tensor tensor_of(const std::vector<T>& values) {
  auto tensor =
      torch::empty({static_cast<int64_t>(values.size())}, c10::CppTypeToScalarType<T>::value);
  std::ranges::copy(values, tensor.template data_ptr<T>());
  return tensor;
}

// A ParallelFor.
inline void on_torch_threads(int64_t tasks, const std::function<void(int64_t task)>& body) {
  at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) body(task);
  });
}

}  // namespace asmlp::detect
