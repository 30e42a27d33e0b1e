#include "asmlp/kernels/kernels.h"

#include <bit>

namespace asmlp {

const KernelSet& kernel_set(Isa isa, Precision precision) {
#if defined(__x86_64__)
  const bool bf16x3 = precision == Precision::kBf16x3;
  if (isa == Isa::kAvx512Amx && (precision == Precision::kBf16 || bf16x3)) {
    return avx512_amx_kernels(precision);
  }
  if (isa == Isa::kAvx512Bf16 && precision == Precision::kBf16) return avx512_bf16_kernels();
  // Without tiles, two bf16 parts cost more than the fp32 number that they stand for.
  if (isa >= Isa::kAvx512) return avx512_kernels(precision);
  if (isa >= Isa::kAvx2) return avx2_kernels(precision);
#endif
  (void)isa;
  return reference_kernels(precision);
}

Bf16Parts bf16_parts(float x) {
  const uint32_t upper = (std::bit_cast<uint32_t>(x) + 0x8000u) & 0xffff0000u;
  const float lower = x - std::bit_cast<float>(upper);
  return {static_cast<uint16_t>(upper >> 16),
          static_cast<uint16_t>(std::bit_cast<uint32_t>(lower) >> 16)};
}

}  // namespace asmlp
