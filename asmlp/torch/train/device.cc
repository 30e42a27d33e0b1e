#include "asmlp/torch/train/device.h"

#include <charconv>

#include "asmlp/core/error.h"

namespace asmlp::train {

torch::Device resolve_device(const std::string& name, int local_rank) {
  const int gpus = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (name == "cpu" || (name == "auto" && gpus == 0)) return torch::kCPU;
  int index = local_rank;
  if (name.starts_with("cuda:")) {
    const char* const end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + 5, end, index);
    require(error == std::errc() && rest == end && index >= 0, ErrorCode::kInvalidArgument,
            "device {}: the part after cuda: must be the number of a GPU", name);
  } else {
    require(name == "cuda" || name == "auto", ErrorCode::kInvalidArgument,
            "device {}: must be cpu, cuda, cuda:N or auto", name);
  }
  require(index < gpus, ErrorCode::kInvalidArgument,
          "device {}: GPU {} is not there, LibTorch sees {}{}", name, index, gpus,
          gpus == 0 ? " (Debian's LibTorch is built without CUDA; an upstream archive has it)"
                    : "; start at most one process per GPU");
  return {torch::kCUDA, static_cast<torch::DeviceIndex>(index)};
}

torch::ScalarType autocast_type_for(Amp amp, const torch::Device& device) {
  if (amp == Amp::kOff) return torch::kFloat;
  if (amp == Amp::kBf16) return torch::kBFloat16;
  require(device.is_cuda(), ErrorCode::kInvalidArgument,
          "amp fp16: needs a CUDA device; on a CPU use bf16, which needs no loss scaling either");
  return torch::kHalf;
}

}  // namespace asmlp::train
