#include "asmlp/core/stop_signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace asmlp::stop_signals_test {
namespace {

using Second = StopSignals::Second;

// How a process ends that runs `body`: its exit code, or 128 + the signal.
int end_of(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(StopSignals, AreCountedAndPutBack) {
  EXPECT_EQ(end_of([] {
              {
                const StopSignals signals(Second::kCounts);
                if (StopSignals::requested() || StopSignals::last_signal() != 0) return 1;
                ::raise(SIGTERM);
                if (!StopSignals::requested() || StopSignals::received() != 1) return 2;
                ::raise(SIGINT);
                if (StopSignals::received() != 2 || StopSignals::last_signal() != SIGINT) return 3;
              }
              ::raise(SIGTERM);
              return 4;
            }),
            128 + SIGTERM);
}

TEST(StopSignals, TheSecondOneEndsTheProgram) {
  EXPECT_EQ(end_of([] {
              const StopSignals signals(Second::kEndsProgram);
              ::raise(SIGINT);
              ::raise(SIGTERM);
              return 0;
            }),
            128 + SIGTERM);
}

TEST(StopSignals, WhatProgramsSendComesTwiceAndCountsOnce) {
  for (const int number : {SIGHUP, SIGTERM}) {
    EXPECT_EQ(end_of([number] {
                const StopSignals signals(Second::kEndsProgram);
                ::raise(number);
                ::raise(number);
                if (StopSignals::received() != 1 || StopSignals::last_signal() != number) return 1;
                ::usleep(1'100'000);
                ::raise(number);
                return 2;
              }),
              128 + number);
  }
  EXPECT_EQ(end_of([] {
              const StopSignals signals(Second::kEndsProgram);
              ::raise(SIGINT);
              ::raise(SIGINT);
              return 3;
            }),
            128 + SIGINT);
}

TEST(StopSignals, AnIgnoredHangUpStaysIgnored) {
  EXPECT_EQ(end_of([] {
              ::signal(SIGHUP, SIG_IGN);
              const StopSignals signals(Second::kEndsProgram);
              ::raise(SIGHUP);
              return StopSignals::requested() ? 1 : 0;
            }),
            0);
}

}  // namespace
}  // namespace asmlp::stop_signals_test
