#include "asmlp/kernels/kernels.h"

namespace asmlp {

const KernelSet& kernel_set(Isa isa, Precision precision) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512Amx && precision == Precision::kBf16) return avx512_amx_kernels();
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

}  // namespace asmlp
