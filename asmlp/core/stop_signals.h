// The signals by which a user or a system asks a program to end: Ctrl-C (SIGINT), SIGTERM, and the
// hang-up of a terminal (SIGHUP).
#pragma once

#include <atomic>

namespace asmlp {

// Counts them as long as it lives; one at a time. A hang-up that was ignored at the start stays so
// (nohup). Except Ctrl-C, the same signal again within a second of the first is not counted: shell
// and kernel both send a hang-up, and each thread of a parent that dies sends what its child asked
// for (PR_SET_PDEATHSIG).
class StopSignals {
 public:
  enum class Second {
    kCounts,
    kEndsProgram,  // at once, as if nothing had been installed
  };
  explicit StopSignals(Second second);
  // Puts back what was there before.
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // True once a signal has come: for loops that are to stop.
  static const std::atomic<bool>& requested();
  static int received();
  static int last_signal();  // 0 before the first one

 private:
  void (*before_[3])(int) = {};
};

}  // namespace asmlp
