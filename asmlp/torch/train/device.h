// Where a run computes, and in which precision.
#pragma once

#include <torch/torch.h>

#include <array>
#include <string>
#include <utility>

namespace asmlp::train {

// "cpu", "cuda:N", "cuda" (the GPU number local_rank of this machine) or "auto" ("cuda" when
// LibTorch sees a GPU, else "cpu"). Error(kInvalidArgument) for anything else and for a GPU that is
// not there.
torch::Device resolve_device(const std::string& name, int local_rank);

// Mixed precision: none (fp32), or matrix products in a half precision.
enum class Amp { kOff, kBf16, kFp16 };
constexpr auto names_of(Amp) {
  return std::array{std::pair{Amp::kOff, "off"}, std::pair{Amp::kBf16, "bf16"},
                    std::pair{Amp::kFp16, "fp16"}};
}

// The type of autocast (torch/ops/autocast.h). Error(kInvalidArgument) for fp16 on a CPU, whose
// matrix products have no fp16.
torch::ScalarType autocast_type_for(Amp amp, const torch::Device& device);

}  // namespace asmlp::train
