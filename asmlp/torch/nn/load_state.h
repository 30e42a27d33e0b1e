// State dicts (parameters and buffers by name) between modules and files.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "asmlp/core/tensor.h"

namespace asmlp::nn {

// What did not find its counterpart, in name order.
struct StateReport {
  std::vector<std::string> missing;     // of the module, not in the file: they keep their values
  std::vector<std::string> unexpected;  // in the file, not of the module: they are ignored
  bool complete() const { return missing.empty() && unexpected.empty(); }
};

// "4 unexpected (head.bias, head.weight, norm.bias, ...), 8 missing (...)"; "" when complete.
std::string describe(const StateReport& report);

// Copies the tensors into the module's parameters and buffers of the same names, converted to their
// types. Tensors of another shape are an Error(kMismatch) that names the key and both shapes; then
// nothing was copied; so are int8 weights (weights/quantized.h) an Error(kUnsupported). `what` names
// the source in messages.
StateReport load_state(torch::nn::Module& module, const TensorMap& tensors,
                       const std::string& what);

// Error(kMismatch) with the first keys unless the report is complete.
void require_complete(const StateReport& report, const std::string& what);

// A tensor as weight files hold it: on the CPU, contiguous; shared, not copied, where it is so
// already. Error(kUnsupported) naming it for a type that they do not hold.
Tensor view_of(const torch::Tensor& tensor, const std::string& name);

// Parameters and buffers by name, on the CPU, in their types. Tensors on the CPU are shared, not
// copied: they change with the module.
TensorMap export_state(const torch::nn::Module& module);

// Elements of all parameters (buffers are none).
int64_t parameter_count(const torch::nn::Module& module);

}  // namespace asmlp::nn
