// Process-wide settings without which LibTorch is several times slower on a CPU.
#pragma once

namespace asmlp::nn {

// Sets LibTorch's intra-op threads (0: OMP_NUM_THREADS where it is set, by which whoever starts
// several processes on a machine divides it, else all cores this process may use) and, once per
// process, gives LibTorch's tensors the memory pool (allocator.h): activations of tens of megabytes
// would otherwise be mapped, zeroed and unmapped by the kernel in every step, which costs more than
// the arithmetic.
// Where the system refuses some of the threads (ulimit -u), LibTorch gets the others, and a warning
// is logged once. Returns the number of threads. Error(kInvalidArgument) when `threads` is outside
// 0..256.
int configure_runtime(int threads = 0);

// For a thread that works beside others: LibTorch starts no threads of its own in it from now on.
void keep_to_one_thread();

}  // namespace asmlp::nn
