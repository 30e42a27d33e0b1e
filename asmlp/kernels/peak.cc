#include "asmlp/kernels/peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

#include "asmlp/kernels/kernels.h"

namespace asmlp {

Peak measure_peak(Isa isa, Precision precision, ThreadPool& pool, double seconds) {
  using Clock = std::chrono::steady_clock;
  const KernelSet& kernels = kernel_set(isa, precision);
  // About a millisecond in 16 tasks for each thread: long against the pool's wake-up, and a thread
  // that comes late does not leave its half undone.
  constexpr int64_t kSteps = 25'000, kTasks = 16;
  std::vector<double> rates;
  const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    std::atomic<int64_t> operations{0};
    const auto begin = Clock::now();
    pool.run(static_cast<int>(kTasks) * pool.size(),
             [&](int, int) { operations += kernels.peak_loop(kSteps); });
    const std::chrono::duration<double> elapsed = Clock::now() - begin;
    const auto sum = static_cast<double>(operations);
    rates.push_back(sum / elapsed.count());
  } while (Clock::now() < deadline);
  std::nth_element(rates.begin(), rates.begin() + static_cast<int64_t>(rates.size()) / 2,
                   rates.end());
  return {rates[rates.size() / 2], kernels.instruction};
}

}  // namespace asmlp
