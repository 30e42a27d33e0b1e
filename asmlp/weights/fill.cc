#include "asmlp/weights/fill.h"

#include <cmath>
#include <cstdint>

#include "asmlp/model/params.h"

namespace asmlp {
namespace {

uint64_t fnv1a64(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3ull;
  return hash;
}

// A number in [-1, 1) with 24 bits: the finalizer of splitmix64 over a Weyl sequence.
double signed_unit(uint64_t seed, uint64_t i) {
  uint64_t h = seed + (i + 1) * 0x9E3779B97F4A7C15ull;
  h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9ull;
  h = (h ^ (h >> 27)) * 0x94D049BB133111EBull;
  h = h ^ (h >> 31);
  return 2.0 * (static_cast<double>(h >> 40) * 0x1p-24) - 1.0;
}

}  // namespace

Tensor fill_tensor(const std::string& name, const Shape& shape) {
  const auto count = static_cast<uint64_t>(element_count(shape));
  double offset = 0.0;
  double scale = 0.0;
  if (name.starts_with("input")) {
    scale = 1.7;
  } else if (name.ends_with("bias")) {
    scale = 0.1;
  } else if (shape.size() <= 1) {
    offset = 1.0;
    scale = 0.2;
  } else if (count > 0) {
    scale = std::sqrt(3.0 / static_cast<double>(count / static_cast<uint64_t>(shape[0])));
  }
  const uint64_t seed = fnv1a64(name);
  std::vector<float> values(count);
  for (uint64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(offset + scale * signed_unit(seed, i));
  }
  return make_tensor(shape, std::move(values));
}

TensorMap fill_parameters(const Config& config) {
  TensorMap tensors;
  for (const Param& param : parameter_table(config)) {
    tensors[param.name] = fill_tensor(param.name, param.shape);
  }
  return tensors;
}

}  // namespace asmlp
