#include "asmlp/cli/dense/ahead.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>

namespace asmlp::cli::ahead_test {
namespace {

class AheadOf : public testing::TestWithParam<int> {};

TEST_P(AheadOf, GivesEverythingInOrder) {
  for (const int64_t count : {0, 1, 2, 57}) {
    Ahead<int64_t> squares(count, GetParam(), [](int64_t index) {
      // Later ones are ready earlier.
      if (index % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
      return index * index;
    });
    for (int64_t i = 0; i < count; ++i) ASSERT_EQ(squares.next(), i * i);
    EXPECT_EQ(squares.next(), std::nullopt);
    EXPECT_EQ(squares.next(), std::nullopt);
  }
}

TEST_P(AheadOf, AnErrorComesInItsPlaceAndTheRestAfterIt) {
  Ahead<int64_t> numbers(6, GetParam(), [](int64_t index) {
    if (index == 3) throw std::runtime_error("three");
    return index;
  });
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(numbers.next(), i);
  EXPECT_THROW(numbers.next(), std::runtime_error);
  EXPECT_EQ(numbers.next(), 4);
  EXPECT_EQ(numbers.next(), 5);
  EXPECT_EQ(numbers.next(), std::nullopt);
}

// No more are there than the consumer will soon need, and the rest is not made at all.
TEST_P(AheadOf, StopsWhenNobodyWantsMore) {
  const int workers = GetParam();
  std::atomic<int> made = 0;
  {
    Ahead<int> numbers(1000, workers, [&](int64_t) { return ++made; });
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(numbers.next().has_value());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_LE(made, 5 + workers + 1);
  }
  EXPECT_LE(made, 5 + workers + 1);
}

INSTANTIATE_TEST_SUITE_P(Workers, AheadOf, testing::Values(0, 1, 2, 7));

}  // namespace
}  // namespace asmlp::cli::ahead_test
