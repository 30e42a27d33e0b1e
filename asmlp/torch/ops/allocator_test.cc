#include "asmlp/torch/ops/allocator.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <torch/torch.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "asmlp/core/out_of_memory.h"

namespace asmlp::nn::allocator_test {
namespace {

constexpr size_t kMB = size_t{1} << 20;

// Page faults of this thread so far that needed no disk.
int64_t page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt;
}

struct Piece {
  char* begin = nullptr;
  size_t bytes = 0;
  char mark = 0;
};

bool is_marked(const Piece& piece) {
  return std::all_of(piece.begin, piece.begin + piece.bytes,
                     [&](char c) { return c == piece.mark; });
}

// Random blocks that come and go, each filled with a mark of its own. Returns whether all marks
// were still there and all addresses aligned.
bool exercise(BlockPool& pool, unsigned seed, int rounds, size_t largest) {
  std::mt19937 random(seed);
  std::vector<Piece> pieces(40);
  bool good = true;
  const auto drop = [&](Piece& piece) {
    if (piece.begin == nullptr) return;
    good = good && is_marked(piece) && BlockPool::owns(piece.begin);
    pool.free(std::exchange(piece.begin, nullptr));
  };
  for (int round = 0; round < rounds; ++round) {
    Piece& piece = pieces[random() % pieces.size()];
    drop(piece);
    piece.bytes = 1 + random() % largest;
    piece.mark = static_cast<char>(random());
    piece.begin = static_cast<char*>(pool.allocate(piece.bytes));
    if (piece.begin == nullptr) return false;
    good = good && reinterpret_cast<uintptr_t>(piece.begin) % BlockPool::kAlignment == 0;
    std::memset(piece.begin, piece.mark, piece.bytes);
  }
  for (Piece& piece : pieces) drop(piece);
  return good;
}

TEST(Allocator, BlocksOfAThreadAreItsOwn) {
  BlockPool pool;
  const unsigned seed = std::random_device{}();
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] { good += exercise(pool, seed + i, 1500, 300'000) ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 3) << "seed " << seed;
  EXPECT_EQ(pool.use().used, 0);
}

TEST(Allocator, FreeNeighborsJoin) {
  BlockPool pool;
  pool.free(pool.allocate(65 * kMB));
  const BlockPool::Use before = pool.use();
  std::vector<void*> blocks(64);
  for (void*& block : blocks) block = pool.allocate(kMB);
  for (size_t i = 0; i < 64; i += 2) pool.free(blocks[i]);
  for (size_t i = 1; i < 64; i += 2) pool.free(blocks[i]);
  void* const all = pool.allocate(65 * kMB);
  EXPECT_EQ(pool.use().mappings, before.mappings);
  EXPECT_EQ(pool.use().mapped, before.mapped);
  pool.free(all);
  EXPECT_FALSE(BlockPool::owns(&pool));
}

TEST(Allocator, ADestroyedPoolHasGivenAllBack) {
  void* memory = nullptr;
  {
    BlockPool pool;
    memory = pool.allocate(5 * kMB);
    EXPECT_TRUE(BlockPool::owns(memory));
    pool.free(memory);
  }
  EXPECT_FALSE(BlockPool::owns(memory));
}

// Ten megabytes stay in use behind a peak of 210, which goes back when it does not
// return.
TEST(Allocator, IdleMemoryGoesBack) {
  BlockPool pool;
  void* const kept = pool.allocate(10 * kMB);
  std::vector<void*> blocks(100);
  for (void*& block : blocks) block = pool.allocate(2 * kMB);
  for (void* block : blocks) pool.free(block);
  const size_t most = pool.use().mapped;
  EXPECT_GE(most, 210 * kMB);
  for (int i = 0; i < 10; ++i) pool.free(pool.allocate(2 * kMB));
  EXPECT_EQ(pool.use().mapped, most);  // not at once: the peak may return
  for (int i = 0; i < 3000; ++i) pool.free(pool.allocate(2 * kMB));
  EXPECT_LE(pool.use().mapped, 90 * kMB);
  pool.free(kept);
}

TEST(Allocator, SizesThatChangeDoNotPileUp) {
  BlockPool pool;
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  size_t peak = 0;
  for (int step = 0; step < 300; ++step) {
    std::vector<void*> blocks;
    const size_t scale = 1 + random() % 64;
    for (int i = 0; i < 30; ++i) {
      blocks.push_back(pool.allocate(scale * (40'000 + random() % 60'000)));
      if (i % 3 == 2) {
        pool.free(blocks[blocks.size() - 2]);
        blocks.erase(blocks.end() - 2);
      }
    }
    peak = std::max(peak, pool.use().used);
    ASSERT_LE(pool.use().mapped, peak + peak / 2 + 66 * kMB) << "seed " << seed;
    for (void* block : blocks) pool.free(block);
  }
}

TEST(Allocator, RefusedMemoryIsNull) {
  BlockPool pool;
  EXPECT_EQ(pool.allocate(size_t{1} << 45), nullptr);
  EXPECT_EQ(pool.allocate(SIZE_MAX), nullptr);
  void* const small = pool.allocate(1);
  EXPECT_NE(small, nullptr);
  pool.free(small);
}

class MemoryPool : public testing::Test {
 protected:
  void SetUp() override {
    if (!install_memory_pool()) GTEST_SKIP() << "a sanitizer watches the memory";
  }
};

TEST_F(MemoryPool, HoldsLargeTensors) {
  const size_t before = memory_pool_use().used;
  {
    const auto large = torch::empty({1 << 20}), small = torch::empty({16});
    EXPECT_EQ(memory_pool_use().used, before + 4 * kMB + 64);
    EXPECT_TRUE(BlockPool::owns(large.data_ptr()));
    EXPECT_FALSE(BlockPool::owns(small.data_ptr()));
  }
  EXPECT_EQ(memory_pool_use().used, before);
  // By which oneDNN takes its memory.
  c10::Allocator& allocator = *c10::GetAllocator(c10::DeviceType::CPU);
  for (const size_t bytes : {size_t{100}, 3 * kMB}) {
    void* const memory = allocator.raw_allocate(bytes);
    std::memset(memory, 1, bytes);
    allocator.raw_deallocate(memory);
  }
  EXPECT_EQ(memory_pool_use().used, before);
}

TEST_F(MemoryPool, HoldsWhatNewMakes) {
  const size_t before = memory_pool_use().used;
  {
    const std::vector<float> large(1 << 20), small(100);
    EXPECT_TRUE(BlockPool::owns(large.data()));
    EXPECT_FALSE(BlockPool::owns(small.data()));
    struct alignas(64) Line {
      char bytes[64];
    };
    struct alignas(4096) Page {
      char bytes[4096];
    };
    const auto lines = std::make_unique<Line[]>(1000);
    const auto pages = std::make_unique<Page[]>(20);
    EXPECT_TRUE(BlockPool::owns(lines.get()));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(lines.get()) % 64, 0);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pages.get()) % 4096, 0);
    const std::unique_ptr<char[]> never(new (std::nothrow) char[size_t{1} << 45]);
    EXPECT_EQ(never, nullptr);
    EXPECT_THROW(std::vector<char>(size_t{1} << 45), std::bad_alloc);
  }
  EXPECT_EQ(memory_pool_use().used, before);
}

TEST_F(MemoryPool, SaysWhatIsMissing) {
  try {
    torch::empty({int64_t{1} << 43});
    FAIL() << "35 TB";
  } catch (const OutOfMemory& error) {
    EXPECT_STREQ(error.what(),
                 "out of memory: a tensor needs 3.52e+07 MB, which the system refuses");
  }
}

// What a step does: maps pile up on the way forward and go on the way back. 150 MB are 37,000
// pages.
TEST_F(MemoryPool, StepsCauseNoPageFaults) {
  const auto step = [] {
    std::vector<torch::Tensor> maps;
    for (int i = 0; i < 30; ++i) {
      const auto sums = torch::ones({1 + i % 4, 300, 1000});
      maps.push_back(sums * 2);
    }
    while (!maps.empty()) {
      const auto gradient = maps.back() + 1;
      maps.pop_back();
    }
  };
  const int64_t begin = page_faults();
  step();
  step();
  const int64_t warm = page_faults();
  for (int i = 0; i < 10; ++i) step();
  EXPECT_LT(page_faults() - warm, 200) << warm - begin << " in the first two steps";
}

TEST_F(MemoryPool, AChildOfAForkHasIt) {
  std::atomic<bool> done = false;
  std::thread other([&] {
    while (!done) torch::empty({1 << 20});
  });
  for (int i = 0; i < 20; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(20);  // a lock that nobody opens ends it
      const auto tensor = torch::empty({1 << 18});
      tensor.data_ptr<float>()[5] = 1;
      ::_exit(BlockPool::owns(tensor.data_ptr()) ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  done = true;
  other.join();
}

}  // namespace
}  // namespace asmlp::nn::allocator_test
