#include "asmlp/torch/ops/autocast.h"

#include <ATen/autocast_mode.h>
#include <torch/version.h>

namespace asmlp::nn {
namespace {

namespace autocast = at::autocast;

// LibTorch 2.4 gave every device the same functions and deprecated one pair per device.
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
bool enabled(torch::DeviceType device) { return autocast::is_autocast_enabled(device); }
void enable(torch::DeviceType device, bool on) { autocast::set_autocast_enabled(device, on); }
torch::ScalarType type_of(torch::DeviceType device) { return autocast::get_autocast_dtype(device); }
void set_type(torch::DeviceType device, torch::ScalarType type) {
  autocast::set_autocast_dtype(device, type);
}
#else
bool enabled(torch::DeviceType device) {
  return device == torch::kCPU ? autocast::is_cpu_enabled() : autocast::is_enabled();
}
void enable(torch::DeviceType device, bool on) {
  device == torch::kCPU ? autocast::set_cpu_enabled(on) : autocast::set_enabled(on);
}
torch::ScalarType type_of(torch::DeviceType device) {
  return device == torch::kCPU ? autocast::get_autocast_cpu_dtype()
                               : autocast::get_autocast_gpu_dtype();
}
void set_type(torch::DeviceType device, torch::ScalarType type) {
  device == torch::kCPU ? autocast::set_autocast_cpu_dtype(type)
                        : autocast::set_autocast_gpu_dtype(type);
}
#endif

}  // namespace

AutocastGuard::AutocastGuard(torch::DeviceType device, torch::ScalarType type)
    : device_(device), was_enabled_(enabled(device)), previous_(type_of(device)) {
  autocast::increment_nesting();
  enable(device, type != torch::kFloat);
  if (type != torch::kFloat) set_type(device, type);
}

AutocastGuard::~AutocastGuard() {
  enable(device_, was_enabled_);
  set_type(device_, previous_);
  if (autocast::decrement_nesting() == 0) autocast::clear_cache();
}

UncachedAutocast::UncachedAutocast() : was_cached_(autocast::is_autocast_cache_enabled()) {
  autocast::set_autocast_cache_enabled(false);
}

UncachedAutocast::~UncachedAutocast() { autocast::set_autocast_cache_enabled(was_cached_); }

torch::ScalarType autocast_type(torch::DeviceType device) {
  return enabled(device) ? type_of(device) : torch::kFloat;
}

}  // namespace asmlp::nn
