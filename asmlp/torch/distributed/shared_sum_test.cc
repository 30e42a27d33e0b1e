#include "asmlp/torch/distributed/shared_sum.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <chrono>
#include <thread>
#include <vector>

#include "asmlp/core/error.h"
#include "tests/support/weight_files.h"

namespace asmlp::dist::shared_sum_test {
namespace {

using namespace std::chrono_literals;

const Patience kPatience{60s, [] {}};

// Members of one memory; each has a mapping of its own, as processes have.
std::vector<std::unique_ptr<SharedSum>> members(int size) {
  std::vector<std::unique_ptr<SharedSum>> all;
  all.push_back(SharedSum::create(0, size));
  for (int rank = 1; rank < size; ++rank) {
    all.push_back(SharedSum::open(all[0]->name(), rank, size));
    EXPECT_NE(all.back(), nullptr);
  }
  all[0]->drop_name();
  return all;
}

// Many sums on end, of changing size and type, with a process that is late now and then.
TEST(SharedSum, IsTheSumInTheOrderOfTheRanks) {
  for (const int size : {1, 2, 5}) {
    auto all = members(size);
    const std::vector<torch::ScalarType> types{torch::kFloat, torch::kDouble, torch::kInt64};
    const auto value = [&](int rank, int turn) {
      const int64_t length = 1 + (turn * 37) % 700;
      return ((torch::arange(length, torch::kDouble) * 0.37 + turn * 1.1) * (rank + 1.7))
          .to(types[static_cast<size_t>(turn) % types.size()]);
    };
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&, rank] {
        for (int turn = 0; turn < 300; ++turn) {
          if (turn % 100 == 17 * rank) std::this_thread::sleep_for(5ms);
          auto mine = value(rank, turn);
          ASSERT_TRUE(SharedSum::takes(mine));
          auto expected = torch::zeros_like(mine);
          for (int other = 0; other < size; ++other) expected += value(other, turn);
          ASSERT_TRUE(all[static_cast<size_t>(rank)]->sum(mine, kPatience));
          ASSERT_TRUE(mine.equal(expected)) << size << " members, turn " << turn;
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }
}

TEST(SharedSum, TakesNumbersInPlaceInAnyStrides) {
  auto all = members(2);
  auto first = torch::arange(12, torch::kDouble).view({3, 4}).t(), second = first.clone();
  std::thread other([&] { EXPECT_TRUE(all[1]->sum(second, kPatience)); });
  EXPECT_TRUE(all[0]->sum(first, kPatience));
  other.join();
  EXPECT_TRUE(first.equal(2 * torch::arange(12, torch::kDouble).view({3, 4}).t()));
  EXPECT_TRUE(second.equal(first));
}

TEST(SharedSum, TakesWhatFits) {
  EXPECT_TRUE(SharedSum::takes(torch::zeros({SharedSum::kCapacity / 8}, torch::kInt64)));
  EXPECT_FALSE(SharedSum::takes(torch::zeros({SharedSum::kCapacity / 8 + 1}, torch::kInt64)));
  EXPECT_FALSE(SharedSum::takes(torch::zeros({4}, torch::kUInt8)));
  EXPECT_FALSE(SharedSum::takes(torch::zeros({0})));
}

TEST(SharedSum, DoesNotWaitForEver) {
  auto all = members(2);
  auto mine = torch::ones({3});
  int checks = 0;
  EXPECT_FALSE(all[0]->sum(mine, {200ms, [&] { ++checks; }}));
  EXPECT_GE(checks, 1);
  EXPECT_THROW(all[1]->sum(mine, kPatience) &&
                   all[1]->sum(mine, {60s, [] { fail(ErrorCode::kIo, "the other one is gone"); }}),
               Error);
}

TEST(SharedSum, TensorsThatDifferAreNotAdded) {
  for (const auto& wrong : {torch::ones({4}), torch::ones({3}, torch::kInt64)}) {
    auto all = members(2);
    auto first = torch::ones({3}), second = wrong.clone();
    std::thread other([&] { EXPECT_THROW(all[1]->sum(second, kPatience), Error); });
    test::expect_words(test::error_of(ErrorCode::kMismatch, [&] { all[0]->sum(first, kPatience); }),
                       {"rank 0 adds 12 bytes of Float", "rank 1", "same step"});
    other.join();
  }
}

TEST(SharedSum, IsFoundByItsNameAsLongAsThatIsKept) {
  auto first = SharedSum::create(0, 2);
  const std::string name = first->name();
  EXPECT_EQ(SharedSum::open(name, 1, 3), nullptr);  // of another number of processes
  EXPECT_EQ(SharedSum::open(name + "0", 1, 2), nullptr);
  EXPECT_EQ(SharedSum::open("", 1, 2), nullptr);
  const auto second = SharedSum::open(name, 1, 2);
  ASSERT_NE(second, nullptr);
  first->drop_name();
  EXPECT_EQ(SharedSum::open(name, 1, 2), nullptr);
  // It is still there for those who have it.
  auto a = torch::ones({3}), b = torch::ones({3});
  std::thread other([&] { EXPECT_TRUE(second->sum(b, kPatience)); });
  EXPECT_TRUE(first->sum(a, kPatience));
  other.join();
  EXPECT_TRUE(a.eq(2).all().item<bool>());
}

}  // namespace
}  // namespace asmlp::dist::shared_sum_test
