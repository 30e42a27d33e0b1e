// Weights that are no numbers.
#pragma once

#include <string>

#include "asmlp/core/tensor.h"

namespace asmlp {

// What to do with weights that are NaN or infinite.
enum class NonFinite { kRefuse, kNote };

// "" when every element of the floating point tensors is finite, else a sentence that counts the
// others and names the first tensor that has some. Every element is read once; the pages of mapped
// tensors are given back.
std::string non_finite_values(const TensorMap& tensors);

// Error(kBadFormat) with that sentence.
void require_finite(const TensorMap& tensors, const std::string& what);

}  // namespace asmlp
