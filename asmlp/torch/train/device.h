// Where a run computes, and in which precision.
#pragma once

#include <torch/torch.h>

#include <string>

namespace asmlp::train {

// "cpu", "cuda:N", "cuda" (the GPU number local_rank of this machine) or "auto" ("cuda" when
// LibTorch sees a GPU, else "cpu"). Error(kInvalidArgument) for anything else and for a GPU that is
// not there.
torch::Device resolve_device(const std::string& name, int local_rank);

// The type of autocast (nn/autocast.h) for "off" (fp32), "bf16" or "fp16".
// Error(kInvalidArgument) for others, and for fp16 on a CPU, whose matrix products have no fp16.
torch::ScalarType autocast_type_for(const std::string& amp, const torch::Device& device);

}  // namespace asmlp::train
