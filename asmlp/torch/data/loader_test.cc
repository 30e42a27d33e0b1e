#include "asmlp/torch/data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <set>

#include "asmlp/core/error.h"

namespace asmlp::data {
namespace {

// `size` grey images of 2 x 3 pixels that hold their own index.
class Numbers : public Dataset {
 public:
  explicit Numbers(int64_t size, int64_t broken = -1) : size_(size), broken_(broken) {}
  int64_t size() const override { return size_; }
  int target(int64_t index) const override { return static_cast<int>(index % 7); }
  const std::vector<std::string>& classes() const override { return classes_; }
  Sample get(int64_t index) const override {
    require(index != broken_, ErrorCode::kBadFormat, "image {} is broken", index);
    Sample sample{Image(2, 3, 1), target(index), ""};
    std::ranges::fill(sample.image.pixels, static_cast<uint8_t>(index));
    ++decoded;
    return sample;
  }
  mutable std::atomic<int64_t> decoded{0};

 private:
  int64_t size_, broken_;
  std::vector<std::string> classes_{"0", "1", "2", "3", "4", "5", "6"};
};

// The sample's number, then draws from its generator.
void number_and_noise(const Sample& sample, Random& random, std::span<float> out) {
  out[0] = sample.image.pixels[0];
  for (float& value : out.subspan(1)) value = static_cast<float>(random.uniform());
}

Loader loader_of(const Dataset& dataset, int workers, bool drop_last = false, uint64_t seed = 5) {
  LoaderOptions options;
  options.batch_size = 8;
  options.workers = workers;
  options.shuffle = true;
  options.drop_last = drop_last;
  options.seed = seed;
  options.channels = 1;
  options.height = 2;
  options.width = 3;
  return Loader(dataset, number_and_noise, options);
}

std::vector<Batch> all(const Loader& loader, int64_t epoch, int64_t first_batch = 0) {
  BatchStream stream = loader.start(epoch, first_batch);
  std::vector<Batch> batches;
  while (auto batch = stream.next()) batches.push_back(std::move(*batch));
  EXPECT_FALSE(stream.next());  // and stays at the end
  return batches;
}

void expect_equal(const std::vector<Batch>& a, std::span<const Batch> b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].index, b[i].index);
    EXPECT_TRUE(torch::equal(a[i].images, b[i].images)) << "batch " << i;
    EXPECT_TRUE(torch::equal(a[i].targets, b[i].targets)) << "batch " << i;
  }
}

TEST(Loader, SameBatchesForAnyNumberOfWorkersAndAnyStart) {
  const Numbers data(101);
  const auto expected = all(loader_of(data, 0), 3);
  ASSERT_EQ(expected.size(), 13u);
  for (int workers : {0, 1, 2, 5}) {
    for (int64_t first : {0, 1, 6, 12, 13}) {
      expect_equal(all(loader_of(data, workers), 3, first), std::span(expected).subspan(first));
    }
  }
}

TEST(Loader, EveryImageOncePerEpochWithItsTarget) {
  const Numbers data(101);
  for (bool drop_last : {false, true}) {
    const Loader loader = loader_of(data, 2, drop_last);
    EXPECT_EQ(loader.batches(), drop_last ? 12 : 13);
    EXPECT_EQ(loader.images(), drop_last ? 96 : 101);
    std::set<int> seen;
    int64_t images = 0;
    for (const Batch& batch : all(loader, 1)) {
      EXPECT_EQ(batch.index * 8, images);
      ASSERT_EQ(batch.images.size(0), batch.targets.size(0));
      for (int64_t i = 0; i < batch.images.size(0); ++i, ++images) {
        const int number = batch.images[i].view(-1)[0].item<int>();
        EXPECT_TRUE(seen.insert(number).second);
        EXPECT_EQ(batch.targets[i].item<int>(), data.target(number));
      }
    }
    EXPECT_EQ(images, loader.images());
  }
}

TEST(Loader, OrderIsAPermutationThatDependsOnSeedAndEpochOnly) {
  const Numbers data(1000);
  const Loader loader = loader_of(data, 0);
  std::vector<int64_t> sorted = loader.order(4), expected(1000);
  EXPECT_EQ(loader_of(data, 5).order(4), sorted);
  EXPECT_NE(loader.order(5), sorted);
  EXPECT_NE(loader_of(data, 0, false, 6).order(4), sorted);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_NE(sorted, expected);
  std::ranges::sort(sorted);
  EXPECT_EQ(sorted, expected);
}

// Where an image lands says nothing about its augmentation: only (seed, epoch, image) does.
TEST(Loader, NoiseDependsOnSeedEpochAndImage) {
  const Numbers data(40);
  const auto noise = [&](uint64_t seed, int64_t epoch) {
    std::map<int, float> values;
    for (const Batch& batch : all(loader_of(data, 1, false, seed), epoch)) {
      for (const auto& image : batch.images.unbind()) {
        values[image.view(-1)[0].item<int>()] = image.view(-1)[1].item<float>();
      }
    }
    return values;
  };
  const auto base = noise(5, 0), other_epoch = noise(5, 1), other_seed = noise(6, 0);
  EXPECT_EQ(base, noise(5, 0));
  std::set<float> distinct;
  for (const auto& [number, value] : base) {
    distinct.insert(value);
    EXPECT_NE(value, other_epoch.at(number));
    EXPECT_NE(value, other_seed.at(number));
  }
  EXPECT_EQ(distinct.size(), 40u);
}

TEST(Loader, AnExceptionReachesTheConsumerWhenItsBatchIsDue) {
  Numbers data(64);
  const int64_t broken_at = 4;
  const int64_t broken = loader_of(data, 0).order(0)[broken_at * 8 + 3];
  const Numbers bad(64, broken);
  for (int workers : {0, 1, 2, 5}) {
    BatchStream stream = loader_of(bad, workers).start(0);
    for (int64_t i = 0; i < broken_at; ++i) EXPECT_EQ(stream.next()->index, i);
    try {
      stream.next();
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.what(), fmt::format("image {} is broken", broken));
    }
    EXPECT_EQ(stream.next()->index, broken_at + 1);  // the rest is unharmed
  }
}

TEST(Loader, WorkersStayAFewBatchesAheadAndStopWhenDropped) {
  const Numbers data(8000);
  {
    BatchStream stream = loader_of(data, 2).start(0);
    stream.next();
    while (data.decoded < 6 * 8) std::this_thread::yield();  // they do work ahead
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  }
  EXPECT_LE(data.decoded, 6 * 8);  // one taken, 2 * workers + 1 ahead
}

TEST(Loader, BadOptionsAreNamed) {
  const Numbers data(10);
  const auto error_of = [&](auto change) -> std::string {
    LoaderOptions options;
    change(options);
    try {
      Loader(data, number_and_noise, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  using testing::StartsWith;
  EXPECT_THAT(error_of([](auto& o) { o.batch_size = 0; }), StartsWith("batch-size 0"));
  EXPECT_THAT(error_of([](auto& o) { o.workers = -1; }), StartsWith("workers -1"));
  EXPECT_THAT(error_of([](auto& o) { o.batch_size = 11, o.drop_last = true; }),
              testing::HasSubstr("10 images, fewer than one batch of 11"));
}

}  // namespace
}  // namespace asmlp::data
