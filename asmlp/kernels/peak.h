// What the arithmetic units can do: the yardstick of `asmlp bench`.
#pragma once

#include "asmlp/core/cpu.h"
#include "asmlp/core/thread_pool.h"

namespace asmlp {

struct Peak {
  double flops;             // floating-point operations per second, a multiply-add counting as two
  const char* instruction;  // "fma", "bf16 dot", "bf16 tile" or "bf16 matrix": what the kernels
                            // of this ISA and precision use
};

// Runs independent multiply-adds in registers (no memory) on every thread of the pool at once, with
// the instruction that the products of `isa` and `precision` are made of, for about `seconds`, and
// returns the median rate of the pieces. Meant to be called between the runs that it is compared
// with, because a processor's clock depends on temperature, load and instruction mix.
Peak measure_peak(Isa isa, Precision precision, ThreadPool& pool, double seconds = 0.1);

}  // namespace asmlp
