// Deterministic weights and inputs without files: the fill rule of the golden data.
//
// For element i (row-major, from 0) of the tensor called `name`, with 64-bit wrap-around:
//   h = fnv1a64(name) + (i + 1) * 0x9E3779B97F4A7C15;  h = splitmix64 finalizer(h)
//   s = 2 * ((h >> 40) * 2^-24) - 1                    in [-1, 1)
// value = 1.7 s for names that begin with "input", 0.1 s for names ending in "bias", 1 + 0.2 s for
// other one-dimensional tensors (norms), sqrt(3 / (elements per output channel)) s otherwise.
#pragma once

#include <string>

#include "asmlp/core/tensor.h"
#include "asmlp/model/config.h"

namespace asmlp {

// One fp32 tensor by the rule (computed in double, rounded once).
Tensor fill_tensor(const std::string& name, const Shape& shape);

// All parameters of a model by the rule: for benchmarks, demonstrations and tests.
TensorMap fill_parameters(const Config& config);

}  // namespace asmlp
