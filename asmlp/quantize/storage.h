// The types that a file stores weights in, which only decide its size and its rounding.
#pragma once

#include <string>
#include <vector>

#include "asmlp/core/tensor.h"

namespace asmlp {

// "fp32", "bf16", "fp16" (as --dtype takes them), "fp64", "int8", "bool", ...
const char* storage_name(DType dtype);

// `tensors` with the weights in `dtype`, which is kF32, kBF16, or kF16: floating point tensors of
// two or more extents, rounded to nearest, ties to even (of F64 through fp32). Vectors (norms,
// biases, scales), which are small and sensitive, are not narrowed; kF32 widens those in half
// precision, too. Integers, and with them int8 layers, stay. Error(kUnsupported) naming the first
// tensor with a number that is too large for `dtype`, kInvalidArgument for another dtype.
TensorMap stored_as(const TensorMap& tensors, DType dtype);

// How much of `tensors` is of each type.
struct StorageShare {
  DType dtype;
  int64_t elements = 0;
  int64_t bytes = 0;
};
// Most bytes first; of as many, in the order of DType.
std::vector<StorageShare> storage_shares(const TensorMap& tensors);

}  // namespace asmlp
