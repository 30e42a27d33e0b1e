// The kernel sets that the tests of this folder run over.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/kernels/kernels.h"

namespace asmlp::test {

// What this machine can run, each set once (two ISAs may share one); in the emulated build, the
// sets that it emulates.
inline std::vector<const KernelSet*> kernel_sets_under_test() {
#if defined(ASMLP_EMULATE_AVX512)
  const std::vector<Isa> isas{Isa::kAvx512, Isa::kAvx512Bf16, Isa::kAvx512Amx};
#else
  const std::vector<Isa> isas = available_isas();
#endif
  std::vector<const KernelSet*> sets;
  for (Isa isa : isas) {
    for (Precision precision : {Precision::kFp32, Precision::kBf16, Precision::kBf16x3}) {
      const KernelSet* set = &kernel_set(isa, precision);
      if (std::find(sets.begin(), sets.end(), set) == sets.end()) sets.push_back(set);
    }
  }
  return sets;
}

inline std::string name_of(const KernelSet& kernels) {
  return std::string(to_string(kernels.isa)) + "_" + to_string(kernels.precision);
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
