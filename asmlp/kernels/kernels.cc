#include "asmlp/kernels/kernels.h"

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
#endif
  (void)isa;
  return reference_int8_kernels();
}

}  // namespace

const KernelSet& kernel_set(Isa isa, Precision precision) {
  if (precision == Precision::kInt8) return int8_kernel_set(isa);
#if defined(__x86_64__)
  if (isa == Isa::kAvx512Amx && precision == Precision::kBf16) return avx512_amx_kernels();
  if (isa == Isa::kAvx512Bf16 && precision == Precision::kBf16) return avx512_bf16_kernels();
  // Without tiles, two bf16 parts cost more than the fp32 number that they stand for.
  if (isa >= Isa::kAvx512) return avx512_kernels(precision);
  if (isa >= Isa::kAvx2) return avx2_kernels(precision);
#endif
  (void)isa;
  return reference_kernels(precision);
}

const KernelSet& base_kernel_set(Isa isa, Precision precision) {
  const KernelSet& set = kernel_set(isa, precision);
  return set.int8 != nullptr ? *set.int8->base : set;
}

}  // namespace asmlp
