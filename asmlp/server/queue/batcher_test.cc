#include "asmlp/server/queue/batcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <random>

#include "asmlp/server/queue/budget.h"

namespace asmlp::server {
namespace batcher_test {

using std::chrono::milliseconds;

struct Item {
  int value = 0;
  int kind = 0;
  int runs = 0;
  int result = 0;
};
using Numbers = Batcher<Item>;

bool same_kind(const Item& a, const Item& b) { return a.kind == b.kind; }

void square(Item& item) {
  ++item.runs;
  item.result = item.value * item.value;
}

Clock::time_point soon() { return Clock::now() + std::chrono::seconds(60); }

// Many threads with requests of random sizes and kinds: every item of an accepted request is
// computed once, alone or with its kind, in batches that are not too large; what is refused is
// refused whole.
TEST(Batcher, AnswersEveryAcceptedItemOnce) {
  for (const int workers : {1, 3}) {
    const BatchLimits limits{.max_batch = 4,
                             .max_delay = std::chrono::microseconds(300),
                             .max_queue = 10,
                             .workers = workers};
    std::atomic<int> computed{0}, observed{0}, wrong{0};
    std::atomic<int> accepted{0}, refused{0};
    {
      Numbers batcher(
          limits,
          [&](int worker, std::span<Item* const> batch) {
            if (worker < 0 || worker >= workers) ++wrong;
            if (batch.empty() || batch.size() > 4) ++wrong;
            for (Item* item : batch) {
              if (item->kind != batch.front()->kind) ++wrong;
              square(*item);
            }
            computed += static_cast<int>(batch.size());
            std::this_thread::sleep_for(std::chrono::microseconds(200));
          },
          same_kind,
          [&](std::span<const Timing> items) {
            observed += static_cast<int>(items.size());
            for (const Timing& item : items) {
              if (item.batch != static_cast<int>(items.size()) || item.queue_seconds < 0) ++wrong;
            }
          });
      std::vector<std::thread> clients;
      for (int client = 0; client < 6; ++client) {
        clients.emplace_back([&, client] {
          std::mt19937 random(static_cast<unsigned>(client));
          for (int k = 0; k < 60; ++k) {
            std::vector<Item> items(1 + random() % 5);
            for (Item& item : items) {
              item.value = static_cast<int>(random() % 1000);
              item.kind = static_cast<int>(random() % 2);
            }
            const size_t count = items.size();
            try {
              const auto job = batcher.submit(batcher.reserve(count), std::move(items));
              if (!batcher.wait(job, soon())) ++wrong;
              for (size_t i = 0; i < count; ++i) {
                const Item& item = job->items[i];
                if (item.runs != 1 || item.result != item.value * item.value) ++wrong;
                if (job->errors[i] != nullptr) ++wrong;
              }
              accepted += static_cast<int>(count);
            } catch (const Error& error) {
              if (error.code() != ErrorCode::kBusy) ++wrong;
              ++refused;
            }
          }
        });
      }
      for (std::thread& client : clients) client.join();
      EXPECT_EQ(batcher.accepted(), 0u);
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(computed, accepted);
    EXPECT_EQ(observed, accepted);
    EXPECT_GT(accepted, 0);
  }
}

// A run that can be held.
class Held {
 public:
  explicit Held(const BatchLimits& limits)
      : batcher_(limits,
                 [this](int, std::span<Item* const> batch) {
                   entered_.set_value();
                   gate_.get_future().wait();
                   for (Item* item : batch) square(*item);
                 },
                 same_kind, {}) {}
  Numbers& batcher() { return batcher_; }
  void wait_until_running() { entered_.get_future().wait(); }
  void open() { gate_.set_value(); }

 private:
  std::promise<void> entered_, gate_;
  Numbers batcher_;
};

TEST(Batcher, RefusesBeyondTheQueueAndGivesPlacesBack) {
  Held held({.max_batch = 8, .max_delay = milliseconds(0), .max_queue = 4, .workers = 1});
  Numbers& batcher = held.batcher();
  EXPECT_THROW(batcher.reserve(5), Error);
  { const Numbers::Place unused = batcher.reserve(4); }
  EXPECT_EQ(batcher.accepted(), 0u);
  // Three places, of which two are used.
  const auto job = batcher.submit(batcher.reserve(3), std::vector<Item>(2));
  EXPECT_EQ(batcher.accepted(), 2u);
  held.wait_until_running();
  EXPECT_THROW(batcher.reserve(3), Error);
  const Numbers::Place kept = batcher.reserve(2);
  held.open();
  EXPECT_TRUE(batcher.wait(job, soon()));
  EXPECT_EQ(batcher.accepted(), 2u);
}

TEST(Batcher, DropsWhatItsRequestNoLongerWaitsFor) {
  Held held({.max_batch = 1, .max_delay = milliseconds(0), .max_queue = 8, .workers = 1});
  Numbers& batcher = held.batcher();
  const auto first = batcher.submit(batcher.reserve(1), std::vector<Item>(1));
  held.wait_until_running();
  const auto second = batcher.submit(batcher.reserve(2), std::vector<Item>(2));
  EXPECT_FALSE(batcher.wait(second, Clock::now() + milliseconds(5)));
  EXPECT_EQ(batcher.accepted(), 1u);
  held.open();
  EXPECT_TRUE(batcher.wait(first, soon()));
  EXPECT_EQ(second->items[0].runs + second->items[1].runs, 0);
}

TEST(Batcher, OnlyTheCulpritsOfABatchFail) {
  Numbers batcher({.max_batch = 8, .max_delay = milliseconds(20), .max_queue = 8, .workers = 1},
                  [](int, std::span<Item* const> batch) {
                    for (Item* item : batch) {
                      require(item->value != 3, ErrorCode::kBadFormat, "three");
                    }
                    for (Item* item : batch) square(*item);
                  },
                  same_kind, {});
  std::vector<Item> items(5);
  for (int k = 0; k < 5; ++k) items[static_cast<size_t>(k)].value = k;
  const auto job = batcher.submit(batcher.reserve(5), std::move(items));
  ASSERT_TRUE(batcher.wait(job, soon()));
  for (size_t k = 0; k < 5; ++k) {
    EXPECT_EQ(job->errors[k] != nullptr, k == 3);
    EXPECT_EQ(job->items[k].runs, k == 3 ? 0 : 1);
  }
}

TEST(Batcher, WaitsForCompanyButNotLonger) {
  std::atomic<int> batches{0};
  Numbers batcher({.max_batch = 3, .max_delay = milliseconds(50), .max_queue = 8, .workers = 1},
                  [&](int, std::span<Item* const>) { ++batches; }, same_kind, {});
  const Clock::time_point start = Clock::now();
  const auto one = batcher.submit(batcher.reserve(1), std::vector<Item>(1));
  const auto two = batcher.submit(batcher.reserve(1), std::vector<Item>(1));
  EXPECT_TRUE(batcher.wait(one, soon()) && batcher.wait(two, soon()));
  EXPECT_GE(Clock::now() - start, milliseconds(49));
  EXPECT_EQ(batches, 1);
  // A full batch is not delayed: this would take longer than the test may.
  Numbers patient(
      {.max_batch = 3, .max_delay = std::chrono::hours(1), .max_queue = 8, .workers = 1},
      [&](int, std::span<Item* const>) { ++batches; }, same_kind, {});
  EXPECT_TRUE(patient.wait(patient.submit(patient.reserve(3), std::vector<Item>(3)), soon()));
}

TEST(Batcher, ARequestWithoutItemsIsDone) {
  Numbers batcher({}, [](int, std::span<Item* const>) {}, same_kind, {});
  EXPECT_TRUE(batcher.wait(batcher.submit(batcher.reserve(2), {}), Clock::now()));
  EXPECT_EQ(batcher.accepted(), 0u);
}

TEST(Budget, IsNeverExceeded) {
  Budget budget(10);
  EXPECT_FALSE(budget.take(11));
  std::optional<Budget::Share> six = budget.take(6);
  ASSERT_TRUE(six);
  EXPECT_FALSE(budget.take(5));
  EXPECT_FALSE(budget.take(5, Clock::now() + milliseconds(5)));
  std::thread later([share = std::move(*six)]() mutable {
    std::this_thread::sleep_for(milliseconds(10));
    const Budget::Share gone(std::move(share));
  });
  six.reset();  // moved from: gives nothing back
  EXPECT_TRUE(budget.take(10, soon()));
  later.join();
}

}  // namespace batcher_test
}  // namespace asmlp::server
