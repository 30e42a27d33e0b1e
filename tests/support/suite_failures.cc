// A part of every test program: a test suite whose set-up fails ends the program. GoogleTest would
// skip the tests of that suite, and ctest takes what is skipped for no failure.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace asmlp::test {
namespace {

class EndAtFailedSuites final : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override { in_test_ = true; }
  void OnTestEnd(const testing::TestInfo&) override { in_test_ = false; }
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (in_test_ || !result.failed()) return;
    std::fflush(nullptr);
    std::_Exit(EXIT_FAILURE);
  }

  bool in_test_ = false;
};

[[maybe_unused]] const bool kListening = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new EndAtFailedSuites);
  return true;
}();

}  // namespace
}  // namespace asmlp::test
