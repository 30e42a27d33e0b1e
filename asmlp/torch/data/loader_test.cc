#include "asmlp/torch/data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <set>
#include <stdexcept>

#include "asmlp/core/error.h"
#include "asmlp/torch/data/data_source.h"

namespace asmlp::data::loader_test {
namespace {

// `size` gray images of 2 x 3 pixels that hold their own index.
class Numbers : public Dataset {
 public:
  explicit Numbers(int64_t size, std::set<int64_t> broken = {})
      : size_(size), broken_(std::move(broken)) {}
  int64_t size() const override { return size_; }
  int target(int64_t index) const override { return static_cast<int>(index % 7); }
  const std::vector<std::string>& classes() const override { return classes_; }
  Sample get(int64_t index) const override {
    if (index == crash_at) throw std::logic_error(fmt::format("crash at {}", index));
    require(!broken_.contains(index), ErrorCode::kBadFormat, "image {} is broken", index);
    Sample sample{Image(2, 3, 1), target(index), ""};
    std::ranges::fill(sample.image.pixels, static_cast<uint8_t>(index));
    ++decoded;
    return sample;
  }
  mutable std::atomic<int64_t> decoded{0};
  int64_t crash_at = -1;

 private:
  int64_t size_;
  std::set<int64_t> broken_;
  std::vector<std::string> classes_{"0", "1", "2", "3", "4", "5", "6"};
};

// The sample's number, then draws from its generator.
void number_and_noise(const Sample& sample, Random& random, std::span<float> out) {
  out[0] = sample.image.pixels[0];
  for (float& value : out.subspan(1)) value = static_cast<float>(random.uniform());
}

LoaderOptions small_options() {
  return {.batch_size = 8, .workers = 1, .seed = 5, .order = Order::kShuffled};
}

Loader loader_of(const Dataset& dataset, const LoaderOptions& options) {
  return Loader(
      std::make_unique<LabeledSource>(
          dataset, Transform{.channels = 1, .height = 2, .width = 3, .apply = number_and_noise}),
      options);
}

Loader loader_of(const Dataset& dataset, int workers, bool drop_last = false, uint64_t seed = 5) {
  LoaderOptions options = small_options();
  options.workers = workers;
  options.seed = seed;
  if (drop_last) options.remainder = Remainder::kDrop;
  return loader_of(dataset, options);
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
  const int64_t crash_batch = 4;
  data.crash_at = loader_of(data, 0).order(0)[crash_batch * 8 + 3];
  for (int workers : {0, 1, 2, 5}) {
    const Loader loader = loader_of(data, workers);
    BatchStream stream = loader.start(0);
    for (int64_t i = 0; i < crash_batch; ++i) EXPECT_EQ(stream.next()->index, i);
    try {
      stream.next();
      FAIL();
    } catch (const std::logic_error& error) {
      EXPECT_EQ(error.what(), fmt::format("crash at {}", data.crash_at));
    }
    EXPECT_EQ(stream.next()->index, crash_batch + 1);  // the rest is unharmed
  }
}

// The numbers of the images of a batch.
std::vector<int64_t> numbers(const Batch& batch) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < batch.images.size(0); ++i) {
    values.push_back(int64_t(batch.images[i].view(-1)[0].item<float>()));
  }
  return values;
}

TEST(Loader, RanksSeeTogetherWhatOneProcessWithTheirBatchesSees) {
  const Numbers data(101);
  for (bool drop_last : {true, false}) {
    for (int world : {1, 2, 3, 5}) {
      LoaderOptions options = small_options();
      if (drop_last) options.remainder = Remainder::kDrop;
      options.batch_size = 8 * world;
      const auto whole = all(loader_of(data, options), 2);
      options.batch_size = 8;
      options.world = world;
      std::vector<std::vector<Batch>> parts;
      int64_t images = 0;
      for (options.rank = 0; options.rank < world; ++options.rank) {
        const Loader loader = loader_of(data, options);
        parts.push_back(all(loader, 2));
        EXPECT_EQ(std::ssize(parts.back()), loader.batches());
        if (drop_last) {
          EXPECT_EQ(parts.back().size(), whole.size());
        }
        for (const Batch& batch : parts.back()) images += batch.images.size(0);
        EXPECT_EQ(loader.images(), drop_last ? 101 / (8 * world) * 8 * world : 101);
      }
      EXPECT_EQ(images, drop_last ? 101 / (8 * world) * 8 * world : 101);
      for (size_t b = 0; b < whole.size(); ++b) {
        std::vector<torch::Tensor> together, targets;
        for (const auto& part : parts) {
          if (b >= part.size()) continue;
          together.push_back(part[b].images);
          targets.push_back(part[b].targets);
        }
        EXPECT_TRUE(torch::equal(torch::cat(together), whole[b].images));
        EXPECT_TRUE(torch::equal(torch::cat(targets), whole[b].targets));
      }
    }
  }
}

TEST(Loader, EvaluationLeavesBadImagesOutAndNamesThemOnce) {
  // A whole batch (the last: 100), the first image, some between.
  const std::set<int64_t> broken{0, 17, 18, 63, 100, 96, 97, 98, 99};
  const Numbers data(101, broken);
  for (int world : {1, 2}) {
    std::set<int64_t> seen;
    std::vector<std::string> bad;
    for (int rank = 0; rank < world; ++rank) {
      LoaderOptions options = small_options();
      options.order = Order::kSequential;
      options.workers = rank;
      options.rank = rank;
      options.world = world;
      const Loader loader = loader_of(data, options);
      for (const Batch& batch : all(loader, 0)) {
        EXPECT_EQ(batch.images.size(0), batch.targets.size(0));
        EXPECT_EQ(batch.bad_samples, std::ssize(batch.bad));
        for (int64_t i = 0; i < batch.images.size(0); ++i) {
          const int64_t number = numbers(batch)[i];
          EXPECT_TRUE(seen.insert(number).second);
          EXPECT_EQ(batch.targets[i].item<int>(), data.target(number));
        }
        bad.insert(bad.end(), batch.bad.begin(), batch.bad.end());
      }
      for (const Batch& batch : all(loader, 1)) EXPECT_TRUE(batch.bad.empty());  // named already
    }
    EXPECT_EQ(seen.size(), 101 - broken.size());
    std::vector<std::string> expected;
    for (int64_t i : broken) expected.push_back(fmt::format("image {} is broken", i));
    EXPECT_THAT(bad, testing::UnorderedElementsAreArray(expected));
  }
}

TEST(Loader, TrainingReplacesBadImagesTheSameWayForAnyNumberOfWorkersAndAnyStart) {
  std::set<int64_t> broken;
  for (int64_t i = 0; i < 101; i += 3) broken.insert(i);
  const Numbers data(101, broken);
  LoaderOptions options = small_options();
  options.remainder = Remainder::kDrop;
  const auto batches = [&](int workers, int64_t first) {
    options.workers = workers;
    return all(loader_of(data, options), 3, first);
  };
  const auto expected = batches(0, 0);
  ASSERT_EQ(expected.size(), 12u);
  std::set<std::string> bad;
  std::set<float> noise;
  for (const Batch& batch : expected) {
    ASSERT_EQ(batch.images.size(0), 8);
    for (int64_t i = 0; i < 8; ++i) {
      const int64_t number = numbers(batch)[i];
      EXPECT_FALSE(broken.contains(number));
      EXPECT_EQ(batch.targets[i].item<int>(), data.target(number));
      noise.insert(batch.images[i].view(-1)[1].item<float>());
    }
    for (const std::string& name : batch.bad) EXPECT_TRUE(bad.insert(name).second);
  }
  EXPECT_GE(bad.size(), broken.size() - 5);  // 96 of the 101 are asked for
  EXPECT_EQ(noise.size(), 96u);              // an image that comes twice is drawn anew
  for (int workers : {1, 2, 5}) {
    const auto again = batches(workers, 0);
    expect_equal(again, expected);
    for (size_t b = 0; b < again.size(); ++b) EXPECT_EQ(again[b].bad, expected[b].bad);
    expect_equal(batches(workers, 5), std::span(expected).subspan(5));
  }
}

TEST(Loader, GivesUpWhenNothingIsGood) {
  std::set<int64_t> broken;
  for (int64_t i = 0; i < 40; ++i) broken.insert(i);
  const Numbers data(40, broken);
  LoaderOptions options = small_options();
  options.remainder = Remainder::kDrop;
  const Loader loader = loader_of(data, options);
  BatchStream stream = loader.start(0);
  EXPECT_THROW(stream.next(), Error);
  options.remainder = Remainder::kKeep;  // an evaluation of nothing ends
  for (const Batch& batch : all(loader_of(data, options), 0)) {
    EXPECT_EQ(batch.images.size(0), 0);
    EXPECT_EQ(batch.bad_samples, 8);
  }
}

TEST(Loader, WorkersStayAFewBatchesAheadAndStopWhenDropped) {
  const Numbers data(8000);
  {
    const Loader loader = loader_of(data, 2);
    BatchStream stream = loader.start(0);
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
      loader_of(data, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  using testing::HasSubstr;
  using testing::StartsWith;
  EXPECT_THAT(error_of([](auto& o) { o.batch_size = 0; }), StartsWith("batch-size 0"));
  EXPECT_THAT(error_of([](auto& o) { o.workers = -1; }), StartsWith("workers -1"));
  EXPECT_THAT(error_of([](auto& o) { o.rank = 2, o.world = 2; }), StartsWith("rank 2"));
  EXPECT_THAT(error_of([](auto& o) { o.batches_per_epoch = 5; }), HasSubstr("for training"));
  EXPECT_THAT(
      error_of([](auto& o) { o.batch_size = 6, o.world = 2, o.remainder = Remainder::kDrop; }),
      HasSubstr("one batch of 6 for each of 2 processes"));
  EXPECT_THAT(error_of([](auto& o) { o.batch_size = 11, o.remainder = Remainder::kDrop; }),
              HasSubstr("10 images, fewer than one batch of 11"));
}

// Of the loader at d0ef276, computed from its source: a run that was begun then goes on with them.
TEST(Loader, KeepsTheBatchesOfEarlierVersions) {
  const Numbers data(11, {2, 7});
  LoaderOptions options = small_options();
  options.batch_size = 4;
  options.remainder = Remainder::kDrop;
  const std::vector<std::pair<int64_t, float>> expected{
      {6, 0.590123072f}, {3, 0.886063281f}, {8, 0.734514373f}, {4, 0.327228413f},
      {1, 0.897714251f}, {9, 0.378914867f}, {0, 0.393868426f}, {1, 0.323077576f}};
  size_t place = 0;
  for (const Batch& batch : all(loader_of(data, options), 3)) {
    for (size_t i = 0; i < 4; ++i, ++place) {
      EXPECT_EQ(numbers(batch)[i], expected.at(place).first);
      EXPECT_FLOAT_EQ(batch.images[int64_t(i)].view(-1)[1].item<float>(), expected[place].second);
    }
  }
  EXPECT_EQ(place, expected.size());
}

// A source whose images cannot be stacked says so, in training and in evaluation.
TEST(Loader, ImagesOfDifferentSizesAreNotStacked) {
  class Growing final : public SampleSource {
   public:
    int64_t size() const override { return 8; }
    TensorSample get(int64_t index, Random&) const override {
      return {torch::zeros({1, 2, 3 + index}), torch::scalar_tensor(0, torch::kInt64), {}};
    }
    Collation collation() const override { return Collation::kStack; }
  };
  const Growing data;
  for (const Remainder remainder : {Remainder::kKeep, Remainder::kDrop}) {
    const Loader loader(data, {.batch_size = 4, .workers = 0, .remainder = remainder});
    try {
      loader.start(0).next();
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kMismatch);
    }
  }
}

}  // namespace
}  // namespace asmlp::data::loader_test
