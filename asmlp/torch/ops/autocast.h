// Mixed precision: LibTorch's autocast, behind one door for its versions 1.13 to 2.x.
#pragma once

#include <torch/torch.h>

namespace asmlp::nn {

// While it lives, matrix products on `device` take and give `type` (bf16 or half) and the operators
// that need the range stay in fp32, as LibTorch's lists say; operators of our own ask autocast for
// its type. Weights that were cast are kept until the outermost guard goes. kFloat switches
// autocast off for the scope. Of this thread; guards nest.
//
// A guard belongs around forward and loss, not around backward(): gradients take the types of the
// forward pass by themselves.
class AutocastGuard {
 public:
  AutocastGuard(torch::DeviceType device, torch::ScalarType type);
  ~AutocastGuard();
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
  torch::DeviceType device_;
  bool was_enabled_;
  torch::ScalarType previous_;
};

// While it lives, autocast casts a weight whenever it is used and keeps no copy.
class UncachedAutocast {
 public:
  UncachedAutocast();
  ~UncachedAutocast();
  UncachedAutocast(const UncachedAutocast&) = delete;
  UncachedAutocast& operator=(const UncachedAutocast&) = delete;

 private:
  bool was_cached_;
};

// The type that autocast gives matrix products on `device` now; kFloat when it is off.
torch::ScalarType autocast_type(torch::DeviceType device);

// Whether autocast gives bf16 on the CPU now.
inline bool bf16_autocast() { return autocast_type(torch::kCPU) == torch::kBFloat16; }

}  // namespace asmlp::nn
