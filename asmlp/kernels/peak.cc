#include "asmlp/kernels/peak.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "asmlp/kernels/kernels.h"

namespace asmlp {

Peak measure_peak(Isa isa, Precision precision, ThreadPool& pool, double seconds) {
  using Clock = std::chrono::steady_clock;
  const KernelSet& kernels = kernel_set(isa, precision);
  constexpr int64_t kSteps = 400'000;  // about a millisecond: long against the pool's wake-up
  std::vector<double> rates;
  const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    std::vector<int64_t> operations(pool.size());
    const auto begin = Clock::now();
    pool.run(pool.size(), [&](int task, int) { operations[task] = kernels.peak_loop(kSteps); });
    const std::chrono::duration<double> elapsed = Clock::now() - begin;
    double sum = 0;
    for (int64_t count : operations) sum += static_cast<double>(count);
    rates.push_back(sum / elapsed.count());
  } while (Clock::now() < deadline);
  std::nth_element(rates.begin(), rates.begin() + static_cast<int64_t>(rates.size()) / 2,
                   rates.end());
  return {rates[rates.size() / 2], kernels.bf16_dot ? "bf16 dot" : "fma"};
}

}  // namespace asmlp
