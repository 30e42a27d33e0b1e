// AVX-512 F, BW, DQ and VL. This file alone is compiled with those flags.
#if defined(__x86_64__) || defined(ASMLP_EMULATE_AVX512)

#if defined(ASMLP_EMULATE_AVX512)
#include "asmlp/kernels/avx512_emulation.h"
#else
#include <immintrin.h>
#endif

#include "asmlp/kernels/simd-inl.h"

namespace asmlp {
namespace avx512 {
#include "asmlp/kernels/avx512_vec.inc"
}  // namespace avx512

// 14 x 32: 28 accumulators, 2 of B and 1 broadcast fill 31 of the 32 registers. The fewer rows, the
// more of the loads' time shows: 14 broadcasts and 2 loads feed 28 FMAs.
const KernelSet& avx512_kernels(Precision precision) {
  using avx512::Vec;
  static const KernelSet kFp32 =
      simd_f32_kernels<Vec, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>(Isa::kAvx512,
                                                                           Precision::kFp32);
  static const KernelSet kBf16 =
      simd_f32_kernels<Vec, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>(Isa::kAvx512,
                                                                           Precision::kBf16);
  return precision == Precision::kBf16 ? kBf16 : kFp32;
}

}  // namespace asmlp

#endif
