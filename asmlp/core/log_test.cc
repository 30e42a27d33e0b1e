#include "asmlp/core/log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace asmlp::log_test {
namespace {

class Log : public testing::Test {
 protected:
  ~Log() override { set_log_callback({}); }
};

TEST_F(Log, WithoutACallbackMessagesAreDropped) {
  set_log_callback({});
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  log_message(LogLevel::kWarning, "nobody listens");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(Log, TheCallbackGetsLevelAndTextAndTheLastOneCounts) {
  std::vector<std::pair<LogLevel, std::string>> first, second;
  set_log_callback(
      [&](LogLevel level, const std::string& text) { first.emplace_back(level, text); });
  log_message(LogLevel::kDebug, "one");
  set_log_callback(
      [&](LogLevel level, const std::string& text) { second.emplace_back(level, text); });
  log_message(LogLevel::kWarning, "two");
  using Entries = std::vector<std::pair<LogLevel, std::string>>;
  EXPECT_EQ(first, (Entries{{LogLevel::kDebug, "one"}}));
  EXPECT_EQ(second, (Entries{{LogLevel::kWarning, "two"}}));
}

// A callback may log and replace itself: no lock is held while it runs.
TEST_F(Log, TheCallbackMayLogAndReplaceItself) {
  int outer = 0, inner = 0;
  set_log_callback([&](LogLevel, const std::string&) {
    ++outer;
    set_log_callback([&](LogLevel, const std::string&) { ++inner; });
    log_message(LogLevel::kInfo, "from within");
  });
  log_message(LogLevel::kInfo, "start");
  EXPECT_EQ(outer, 1);
  EXPECT_EQ(inner, 1);
}

TEST_F(Log, LosesNothingFromManyThreads) {
  std::atomic<int> received{0};
  set_log_callback([&](LogLevel, const std::string&) { ++received; });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) log_message(LogLevel::kInfo, "message");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(received, 4000);
}

}  // namespace
}  // namespace asmlp::log_test
