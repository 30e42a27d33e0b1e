#include "asmlp/kernels/kernels.h"

namespace asmlp {

const KernelSet& kernel_set(Isa isa, Precision) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx2) return avx2_kernels();
#endif
  (void)isa;
  return reference_kernels();
}

}  // namespace asmlp
