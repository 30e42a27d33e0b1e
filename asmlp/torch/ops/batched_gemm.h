// Many small matrix products at once: what attention consists of.
#pragma once

#include <torch/torch.h>

namespace asmlp::nn {

// a b, matrix by matrix: B x H x m x k times B x H x k x n gives B x H x m x n. On a CPU, in fp32
// and fp64, strided and transposed views are read where they are and the matrices are spread over
// LibTorch's threads (without MKL, torch::matmul copies them and works on one thread); everything
// else is torch::matmul. Differentiates to any order. Error(kInvalidArgument) when the shapes do
// not fit.
torch::Tensor batched_product(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace asmlp::nn
