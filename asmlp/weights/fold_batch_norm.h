// Batch norms of trained networks, which are a scale and a shift of the convolution before them.
#pragma once

#include "asmlp/core/tensor.h"

namespace asmlp {

// The same network without batch norms: every NAME.conv.weight with a NAME.bn takes it (of its
// running statistics, eps 1e-5) and gets a NAME.conv.bias, computed in double and kept in fp32; the
// tensors of NAME.bn are left out, all others are as they were.
//   bn(W x) = s W x + (beta - mean s),  s = gamma / sqrt(var + eps)
// Error(kMismatch) when a part of a norm is missing or of another size.
TensorMap fold_batch_norms(const TensorMap& tensors);

}  // namespace asmlp
