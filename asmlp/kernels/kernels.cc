#include "asmlp/kernels/kernels.h"

#include <bit>

#include "asmlp/kernels/int8_kernels.h"

namespace asmlp {
namespace {

// Every set gives the same bits: an ISA without one of its own takes that of a lesser one.
const KernelSet& int8_kernel_set(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512Amx) return avx512_amx_int8_kernels();
  if (isa >= Isa::kAvx512Vnni) return avx512_vnni_int8_kernels();
  if (isa == Isa::kAvx2Vnni) return avx2_vnni_int8_kernels();
  if (isa >= Isa::kAvx2) return avx2_int8_kernels();
#elif defined(__aarch64__)
  if (isa == Isa::kNeonMatrix) return neon_matrix_int8_kernels();
  if (isa == Isa::kNeonDot) return neon_dot_int8_kernels();
  if (isa == Isa::kNeon) return neon_int8_kernels();
#endif
  (void)isa;
  return reference_int8_kernels();
}

}  // namespace

const KernelSet& kernel_set(Isa isa, Precision precision) {
  if (precision == Precision::kInt8) return int8_kernel_set(isa);
#if defined(__x86_64__)
  const bool bf16x3 = precision == Precision::kBf16x3;
  if (isa == Isa::kAvx512Amx && (precision == Precision::kBf16 || bf16x3)) {
    return avx512_amx_kernels(precision);
  }
  if (isa == Isa::kAvx512Bf16 && precision == Precision::kBf16) return avx512_bf16_kernels();
  // Without tiles, two bf16 parts cost more than the fp32 number that they stand for.
  if (isa >= Isa::kAvx512) return avx512_kernels(precision);
  if (isa >= Isa::kAvx2) return avx2_kernels(precision);
#elif defined(__aarch64__)
  if (isa == Isa::kNeonMatrix && precision == Precision::kBf16) return neon_bf16_kernels();
  if (isa >= Isa::kNeon) return neon_kernels(precision);
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

const KernelSet& base_kernel_set(Isa isa, Precision precision) {
  const KernelSet& set = kernel_set(isa, precision);
  return set.int8 != nullptr ? *set.int8->base : set;
}

}  // namespace asmlp
