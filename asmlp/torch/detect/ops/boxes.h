// What the detection operators share. A box is a row x1, y1, x2, y2 in continuous coordinates, its
// width x2 - x1 (never + 1); a RoI is a row image, x1, y1, x2, y2.
#pragma once

#include <torch/torch.h>

#include <string>

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"
#include "asmlp/detection/box.h"

namespace asmlp::detect {

inline std::string shape_of(const torch::Tensor& tensor) {
  return tensor.defined() ? to_string(Shape(tensor.sizes().begin(), tensor.sizes().end()))
                          : "undefined";
}

// Error(kInvalidArgument) unless `boxes` is a floating-point N x 4 tensor; `what` names it.
inline void check_boxes(const char* what, const torch::Tensor& boxes) {
  require(boxes.defined() && boxes.dim() == 2 && boxes.size(1) == 4 && boxes.is_floating_point(),
          ErrorCode::kInvalidArgument, "{}: is {}, must be N x 4 of a floating-point type", what,
          shape_of(boxes));
}

// Error(kInvalidArgument) unless `tensor` has `rows` rows.
inline void check_rows(const char* what, const torch::Tensor& tensor, int64_t rows) {
  require(tensor.defined() && tensor.dim() >= 1 && tensor.size(0) == rows,
          ErrorCode::kInvalidArgument, "{}: is {}, must have {} rows", what, shape_of(tensor),
          rows);
}

// Coordinates, decoding and losses are fp32 where a network computes in half precision.
inline torch::Tensor widen(const torch::Tensor& tensor) {
  const auto type = tensor.scalar_type();
  return type == at::kHalf || type == at::kBFloat16 ? tensor.to(at::kFloat) : tensor;
}

}  // namespace asmlp::detect
