// The kernel sets that the tests of this folder run over.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/kernels/kernels.h"

namespace asmlp::test {

// What this machine can run; in the emulated build, what it emulates.
inline std::vector<Isa> isas_under_test() {
#if defined(ASMLP_EMULATE_AVX512)
  return {Isa::kAvx512, Isa::kAvx512Vnni, Isa::kAvx512Bf16};
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

inline std::string name_of(const KernelSet& kernels) {
  const bool base = &kernels == &base_kernel_set(kernels.isa, Precision::kInt8);
  return std::string(to_string(kernels.isa)) + "_" + to_string(kernels.precision) +
         (base ? "_of_int8" : "");
}

// A value as the precision keeps it.
inline float kept(const KernelSet& kernels, float value) {
  return kernels.precision != Precision::kBf16 ? value : bf16_to_f32(f32_to_bf16(value));
}

// Element i of a panel.
inline float panel_at(const KernelSet& kernels, const void* panel, int64_t i) {
  if (kernels.element != PanelElement::kBf16) return static_cast<const float*>(panel)[i];
  return bf16_to_f32(static_cast<const uint16_t*>(panel)[i]);
}

}  // namespace asmlp::test
