#include "asmlp/core/stop_signals.h"

#include <csignal>
#include <cstdint>
#include <ctime>

namespace asmlp {
namespace {

constexpr int kStopSignals[3] = {SIGINT, SIGTERM, SIGHUP};

std::atomic<bool> stop_requested{false};
std::atomic<int> stop_count{0};
std::atomic<int> stop_signal{0};
std::atomic<bool> second_ends{false};
std::atomic<int64_t> first_time{0};  // milliseconds of the monotonic clock
// A handler may only use what is free of locks.
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free &&
              std::atomic<int64_t>::is_always_lock_free);

extern "C" void note_stop_signal(int signal) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t time = int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
  int64_t none = 0;
  // What programs send may come twice: SIGHUP from the shell and the kernel, SIGTERM from each
  // thread of a parent that dies (PR_SET_PDEATHSIG).
  const bool again = !first_time.compare_exchange_strong(none, time) && time - none < 1000;
  if (again && signal != SIGINT && signal == stop_signal) return;
  stop_signal = signal;
  stop_requested = true;
  if (++stop_count > 1 && second_ends) {
    std::signal(signal, SIG_DFL);
    ::raise(signal);  // comes when the handler returns
  }
}

}  // namespace

StopSignals::StopSignals(Second second) {
  stop_requested = false;
  stop_count = stop_signal = 0;
  first_time = 0;
  second_ends = second == Second::kEndsProgram;
  for (int k = 0; k < 3; ++k) {
    before_[k] = std::signal(kStopSignals[k], note_stop_signal);
    if (kStopSignals[k] == SIGHUP && before_[k] == SIG_IGN) std::signal(SIGHUP, SIG_IGN);
  }
}

StopSignals::~StopSignals() {
  for (int k = 0; k < 3; ++k) std::signal(kStopSignals[k], before_[k]);
}

const std::atomic<bool>& StopSignals::requested() { return stop_requested; }
int StopSignals::received() { return stop_count; }
int StopSignals::last_signal() { return stop_signal; }

}  // namespace asmlp
