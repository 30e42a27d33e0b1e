// The kernel sets that the tests of this folder run over.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/kernels/kernels.h"

namespace asmlp::test {

// What this machine can run; in the emulated build, what it emulates.
inline std::vector<Isa> isas_under_test() {
#if defined(ASMLP_EMULATE_AVX512)
  return {Isa::kAvx512, Isa::kAvx512Vnni, Isa::kAvx512Bf16, Isa::kAvx512Amx};
#else
  return available_isas();
#endif
}

// Each set once (two ISAs may share one): those with `tiles`, also of what int8 does not quantize.
inline std::vector<const KernelSet*> kernel_sets_under_test() {
  std::vector<const KernelSet*> sets;
  const auto add = [&](const KernelSet& set) {
    if (std::find(sets.begin(), sets.end(), &set) == sets.end()) sets.push_back(&set);
  };
  for (Isa isa : isas_under_test()) {
    for (Precision precision : {Precision::kFp32, Precision::kBf16, Precision::kBf16x3}) {
      add(kernel_set(isa, precision));
    }
    add(base_kernel_set(isa, Precision::kInt8));
  }
  return sets;
}

inline std::vector<const KernelSet*> int8_sets_under_test() {
  std::vector<const KernelSet*> sets;
  for (Isa isa : isas_under_test()) {
    const KernelSet* set = &kernel_set(isa, Precision::kInt8);
    if (std::find(sets.begin(), sets.end(), set) == sets.end()) sets.push_back(set);
  }
  return sets;
}

// Two ISAs may share the fp32 functions of their int8 sets' bases, which are sets of their own.
inline std::string name_of(const KernelSet& kernels) {
  for (Isa isa : isas_under_test()) {
    if (&kernels == &base_kernel_set(isa, Precision::kInt8)) {
      return std::string(to_string(isa)) + "_fp32_of_int8";
    }
  }
  return std::string(to_string(kernels.isa)) + "_" + to_string(kernels.precision);
}

// The upper part of a value in the products of a set; the lower one, but for bf16x3 on tiles, is 0.
inline float upper_part(const KernelSet& kernels, float value) {
  if (kernels.element == PanelElement::kBf16Split) return bf16_to_f32(bf16_parts(value).upper);
  return kernels.precision != Precision::kBf16 ? value : bf16_to_f32(f32_to_bf16(value));
}
inline float lower_part(const KernelSet& kernels, float value) {
  if (kernels.element != PanelElement::kBf16Split) return 0;
  return bf16_to_f32(bf16_parts(value).lower);
}

// A value as the precision keeps it.
inline float kept(const KernelSet& kernels, float value) {
  return upper_part(kernels, value) + lower_part(kernels, value);
}

// Element i of a panel.
inline float panel_at(const KernelSet& kernels, const void* panel, int64_t i) {
  if (kernels.element == PanelElement::kBf16) {
    return bf16_to_f32(static_cast<const uint16_t*>(panel)[i]);
  }
  if (kernels.element != PanelElement::kBf16Split) return static_cast<const float*>(panel)[i];
  const uint32_t word = static_cast<const uint32_t*>(panel)[i];
  return bf16_to_f32(static_cast<uint16_t>(word >> 16)) + bf16_to_f32(static_cast<uint16_t>(word));
}

// Bound of the error of an elementwise result y beside the one that is computed exactly: the
// kernels compute in fp32; a panel of bf16, or of two parts of it, keeps less of it.
inline double panel_step(const KernelSet& kernels, double y) {
  if (kernels.element == PanelElement::kBf16Split) return std::abs(y) / 65536;
  return kernels.precision == Precision::kBf16 ? std::abs(y) / 256 : 0;
}

// Bound of the error of GELU(x) = y in fp32 (kernels.h), x itself being off by `input`.
inline double gelu_bound(const KernelSet& kernels, double x, double y, double input = 0) {
  const double table = 4e-7 * std::max(1.0, std::abs(x)) + 1.13 * input;  // the largest slope
  return kernels.bf16_pairs ? table + std::abs(y) / 1024 + 1.3e-4 : table;
}

}  // namespace asmlp::test
