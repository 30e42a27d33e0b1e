// Process-wide settings without which LibTorch is several times slower on a CPU.
#pragma once

namespace asmlp::nn {

// Sets LibTorch's intra-op threads (0: OMP_NUM_THREADS where it is set, by which whoever starts
// several processes on a machine divides it, else all cores this process may use) and, once per
// process, tells malloc to keep freed memory: activations of tens of megabytes would otherwise be
// mapped, zeroed and unmapped by the kernel in every step, which costs more than the arithmetic.
// Returns the number of threads. Error(kInvalidArgument) when `threads` is outside 0..256.
int configure_runtime(int threads = 0);

}  // namespace asmlp::nn
