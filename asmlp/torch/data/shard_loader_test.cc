#include "asmlp/torch/data/shard_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <numeric>
#include <set>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/shards/tar.h"
#include "asmlp/image/encode.h"
#include "asmlp/torch/data/data_source.h"
#include "tests/support/support.h"

namespace asmlp::data::shard_loader_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr int kClasses = 7;

std::string picture(int number) {
  Image image(1, 1, 3);
  image.pixels = {static_cast<uint8_t>(number), static_cast<uint8_t>(number / 256), 0};
  const auto bytes = encode_png(image);
  return {bytes.begin(), bytes.end()};
}

// Shards of these sizes in a folder: sample n of the set holds the number n and has the class n %
// 7. The samples in `broken` are no pictures.
void write_shards(const fs::path& folder, const std::vector<int>& sizes,
                  const std::set<int>& broken = {}, const std::string& split = "train") {
  ShardIndex index = read_shard_index(folder).value_or(ShardIndex{});
  index.classes = {"a", "b", "c", "d", "e", "f", "g"};
  int number = 0;
  for (size_t s = 0; s < sizes.size(); ++s) {
    const std::string name = fmt::format("{}-{:03}.tar", split, s);
    write_file_atomically(folder / name, [&](std::ostream& out) {
      TarWriter tar(out);
      for (int i = 0; i < sizes[s]; ++i, ++number) {
        tar.add(fmt::format("{}.png", number),
                broken.contains(number) ? "no picture" : picture(number));
        tar.add(fmt::format("{}.cls", number), std::to_string(number % kClasses));
      }
      tar.finish();
    });
    index.splits[split].push_back({name, sizes[s], int64_t(fs::file_size(folder / name))});
  }
  write_shard_index(folder, index);
}

// The sample's number, then a draw from its generator.
void number_and_noise(const Sample& sample, Random& random, std::span<float> out) {
  out[0] = float(sample.image.pixels.at(0)) + 256.0f * float(sample.image.pixels.at(1));
  out[1] = static_cast<float>(random.uniform());
}

const Transform kNumberAndNoise{.channels = 1, .height = 1, .width = 2, .apply = number_and_noise};

LoaderOptions training_options() {
  return {.batch_size = 8,
          .workers = 0,
          .seed = 5,
          .order = Order::kShuffled,
          .remainder = Remainder::kDrop,
          .shuffle_buffer = 20};
}

LoaderOptions evaluation_options() { return {.batch_size = 8, .workers = 0}; }

std::vector<Batch> all(const BatchSource& source, int64_t epoch, int64_t first_batch = 0) {
  BatchStream stream = source.start(epoch, first_batch);
  std::vector<Batch> batches;
  while (auto batch = stream.next()) {
    EXPECT_EQ(batch->index, first_batch + std::ssize(batches));
    EXPECT_EQ(batch->images.size(0), batch->targets.size(0));
    batches.push_back(std::move(*batch));
  }
  EXPECT_FALSE(stream.next());  // and stays at the end
  return batches;
}

// The numbers of the samples, whose targets are checked.
std::vector<int> numbers(const std::vector<Batch>& batches) {
  std::vector<int> values;
  for (const Batch& batch : batches) {
    for (int64_t i = 0; i < batch.images.size(0); ++i) {
      values.push_back(int(batch.images[i].view(-1)[0].item<float>()));
      EXPECT_EQ(batch.targets[i].item<int>(), values.back() % kClasses);
    }
  }
  return values;
}

std::vector<std::string> bad_of(const std::vector<Batch>& batches) {
  std::vector<std::string> names;
  for (const Batch& batch : batches) names.insert(names.end(), batch.bad.begin(), batch.bad.end());
  return names;
}

void expect_equal(const std::vector<Batch>& a, std::span<const Batch> b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(torch::equal(a[i].images, b[i].images)) << "batch " << i;
    EXPECT_TRUE(torch::equal(a[i].targets, b[i].targets)) << "batch " << i;
  }
}

class ShardLoaderTest : public testing::Test {
 protected:
  ShardSet open(Split split = Split::kTrain) { return open_shards(folder_.path(), split); }
  const test::TemporaryFolder folder_;
};

TEST_F(ShardLoaderTest, SameBatchesForAnyNumberOfWorkersAndAnyStartBadSamplesIncluded) {
  for (const std::set<int>& broken : {std::set<int>{}, std::set<int>{3, 4, 5, 30, 31, 60, 99}}) {
    const test::TemporaryFolder folder;
    write_shards(folder.path(), {30, 7, 25, 38}, broken);
    const ShardSet set = open_shards(folder.path(), Split::kTrain);
    for (int world : {1, 2}) {
      LoaderOptions options = training_options();
      options.rank = world - 1;
      options.world = world;
      const auto expected = all(ShardLoader(set, kNumberAndNoise, options), 3);
      ASSERT_EQ(std::ssize(expected), 100 / (8 * world));
      for (int workers : {1, 2, 5}) {
        options.workers = workers;
        const auto again = all(ShardLoader(set, kNumberAndNoise, options), 3);
        expect_equal(again, expected);
        EXPECT_EQ(bad_of(again), bad_of(expected));
        for (int64_t first : {1, 4, 100 / (8 * world)}) {
          expect_equal(all(ShardLoader(set, kNumberAndNoise, options), 3, first),
                       std::span(expected).subspan(first));
        }
      }
    }
  }
}

TEST_F(ShardLoaderTest, AnEpochIsAShuffleOfTheShardsAndOfTheirSamples) {
  write_shards(folder_.path(), std::vector<int>(12, 8));
  const ShardSet set = open();
  LoaderOptions options = training_options();
  const ShardLoader loader(set, kNumberAndNoise, options);
  std::vector<int> first = numbers(all(loader, 0)), second = numbers(all(loader, 1));
  EXPECT_NE(first, second);
  EXPECT_EQ(first, numbers(all(loader, 0)));
  std::vector<int> everything(96);
  std::iota(everything.begin(), everything.end(), 0);
  EXPECT_THAT(first, testing::UnorderedElementsAreArray(everything));
  EXPECT_THAT(second, testing::UnorderedElementsAreArray(everything));
  // Samples of one shard do not come in its order, nor one shard after the other.
  std::map<int, std::vector<int>> places;
  for (size_t i = 0; i < first.size(); ++i) places[first[i] / 8].push_back(int(i));
  int spread = 0, unordered = 0;
  for (const auto& [shard, at] : places) spread += at.back() - at.front() > 7;
  for (size_t i = 1; i < first.size(); ++i) unordered += first[i] < first[i - 1];
  EXPECT_EQ(spread, 12);
  EXPECT_GT(unordered, 20);
  options.seed = 6;
  EXPECT_NE(numbers(all(ShardLoader(set, kNumberAndNoise, options), 0)), first);
}

TEST_F(ShardLoaderTest, RanksReadDifferentShardsAndHaveEqualNumbersOfFullBatches) {
  write_shards(folder_.path(), std::vector<int>(6, 16));
  const ShardSet set = open();
  for (int world : {1, 2, 3}) {
    LoaderOptions options = training_options();
    options.world = world;
    std::multiset<int> seen;
    for (options.rank = 0; options.rank < world; ++options.rank) {
      const ShardLoader loader(set, kNumberAndNoise, options);
      EXPECT_EQ(loader.batches(), 96 / (8 * world));
      EXPECT_EQ(loader.images(), 96);
      const auto batches = all(loader, 2);
      EXPECT_EQ(std::ssize(batches), loader.batches());
      for (int number : numbers(batches)) seen.insert(number);
    }
    // Equal shards over ranks that divide their number: everything exactly once.
    EXPECT_EQ(seen.size(), 96u);
    EXPECT_EQ(std::set<int>(seen.begin(), seen.end()).size(), 96u);
  }
}

TEST_F(ShardLoaderTest, ARankWithFewerSamplesBeginsAgainWithAnotherView) {
  write_shards(folder_.path(), {40, 10});
  const ShardSet set = open();
  LoaderOptions options = training_options();
  options.batch_size = 5;
  options.world = 2;
  for (options.rank = 0; options.rank < 2; ++options.rank) {
    const ShardLoader loader(set, kNumberAndNoise, options);
    ASSERT_EQ(loader.batches(), 5);  // of 25 samples
    const auto batches = all(loader, 0);
    const auto seen = numbers(batches);
    ASSERT_EQ(seen.size(), 25u);
    const bool small = loader.shards(0) == std::vector<int64_t>{1};
    EXPECT_EQ(std::set<int>(seen.begin(), seen.end()).size(), small ? 10u : 25u);
    std::set<float> noise;
    for (const Batch& batch : batches) {
      for (int i = 0; i < 5; ++i) noise.insert(batch.images[i].view(-1)[1].item<float>());
    }
    EXPECT_EQ(noise.size(), 25u);
  }
}

TEST_F(ShardLoaderTest, EvaluationSeesEverySampleOnceOverTheRanks) {
  write_shards(folder_.path(), {30, 7, 25, 38, 1}, {}, "val");
  const ShardSet set = open(Split::kValidation);
  for (int world : {1, 2, 3, 7}) {
    LoaderOptions options = evaluation_options();
    options.world = world;
    options.workers = 2;
    std::vector<int> seen;
    for (options.rank = 0; options.rank < world; ++options.rank) {
      const ShardLoader loader(set, kNumberAndNoise, options);
      EXPECT_EQ(loader.images(), 101);
      const auto batches = all(loader, 0);
      EXPECT_EQ(std::ssize(batches), loader.batches());
      for (int number : numbers(batches)) seen.push_back(number);
    }
    std::vector<int> everything(101);
    std::iota(everything.begin(), everything.end(), 0);
    EXPECT_THAT(seen, testing::UnorderedElementsAreArray(everything)) << world;
  }
}

TEST_F(ShardLoaderTest, DamageIsNamedOnceCountedAndPassedOver) {
  write_shards(folder_.path(), {30, 7, 25, 38}, {2, 50});
  const fs::path cut = folder_.path() / "train-003.tar";  // samples 62...99
  fs::resize_file(cut, fs::file_size(cut) / 2 + 100);     // inside a header
  fs::remove(folder_.path() / "train-001.tar");           // 30...36
  const ShardSet set = open();
  EXPECT_EQ(set.samples, 100);
  for (const bool training : {false, true}) {
    LoaderOptions options = training ? training_options() : evaluation_options();
    options.workers = 2;
    const ShardLoader loader(set, kNumberAndNoise, options);
    const auto batches = all(loader, 0);
    const auto seen = numbers(batches);
    const std::set<int> different(seen.begin(), seen.end());
    int64_t lost = 0;
    for (const Batch& batch : batches) lost += batch.bad_samples;
    EXPECT_THAT(bad_of(batches),
                testing::UnorderedElementsAre(
                    HasSubstr("train-000.tar: 2: is no image file that is known"),
                    HasSubstr("train-002.tar: 50: is no image file that is known"),
                    HasSubstr("train-001.tar: cannot open: No such file"),
                    testing::AllOf(HasSubstr("train-003.tar"), HasSubstr("of 38 samples are"))));
    EXPECT_EQ(std::ssize(different) + lost, 100);
    if (training) {
      EXPECT_EQ(seen.size(), 96u);  // full batches all the same
      EXPECT_GT(seen.size(), different.size());
    } else {
      EXPECT_EQ(seen.size(), different.size());
    }
    EXPECT_TRUE(bad_of(all(loader, 1)).empty());  // named already
  }
}

TEST_F(ShardLoaderTest, GivesUpWhenNothingIsGood) {
  std::set<int> broken;
  for (int i = 0; i < 40; ++i) broken.insert(i);
  write_shards(folder_.path(), {20, 20}, broken);
  const ShardSet set = open();
  for (int workers : {0, 2}) {
    LoaderOptions options = training_options();
    options.workers = workers;
    EXPECT_THROW(all(ShardLoader(set, kNumberAndNoise, options), 0), Error);
    options = evaluation_options();
    options.workers = workers;
    int64_t bad = 0;
    for (const Batch& batch : all(ShardLoader(set, kNumberAndNoise, options), 0)) {
      EXPECT_EQ(batch.images.size(0), 0);
      bad += batch.bad_samples;
    }
    EXPECT_EQ(bad, 40);
  }
  for (const Shard& shard : set.shards) fs::resize_file(shard.path, 100);
  const ShardLoader loader(set, kNumberAndNoise, training_options());
  BatchStream stream = loader.start(0);
  EXPECT_THROW(stream.next(), Error);
}

TEST_F(ShardLoaderTest, TooFewShardsOrSamplesAreSaid) {
  write_shards(folder_.path(), {30, 30});
  const ShardSet set = open();
  const auto error_of = [&](auto change) -> std::string {
    LoaderOptions options = training_options();
    change(options);
    try {
      ShardLoader(set, kNumberAndNoise, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(error_of([](auto& o) { o.world = 3; }), HasSubstr("2 shards for 3 processes"));
  EXPECT_THAT(error_of([](auto& o) { o.batch_size = 61; }), HasSubstr("fewer than one batch"));
  EXPECT_THAT(error_of([](auto& o) { o.shuffle_buffer = 0; }), HasSubstr("shuffle-buffer 0"));
  EXPECT_THAT(error_of([](auto& o) { o.order = Order::kGrouped; }), HasSubstr("groups"));
  EXPECT_THAT(error_of([](auto& o) { o.remainder = Remainder::kRepeat; }), HasSubstr("repeated"));
  EXPECT_THAT(error_of([](auto& o) { o.batches_per_epoch = 3; }), HasSubstr("fixed length"));
  EXPECT_EQ(error_of([](auto& o) { o.world = 2, o.workers = 8; }), "");
}

TEST_F(ShardLoaderTest, ADataSourceOpensShardsAndFoldersAlike) {
  write_shards(folder_.path(), {9, 9});
  write_shards(folder_.path(), {5}, {}, "val");
  const auto train = open_data_source(folder_.path(), Split::kTrain);
  const auto val = open_data_source(folder_.path(), Split::kValidation);
  EXPECT_EQ(train->size(), 18);
  EXPECT_EQ(val->size(), 5);
  EXPECT_EQ(train->classes(), val->classes());
  EXPECT_EQ(train->batches(kNumberAndNoise, training_options())->batches(), 2);
  EXPECT_EQ(numbers(all(*val->batches(kNumberAndNoise, evaluation_options()), 0)),
            (std::vector<int>{0, 1, 2, 3, 4}));

  const test::TemporaryFolder images;
  fs::create_directories(images.path() / "a");
  fs::copy(test::data("images/jpeg_420.jpg"), images.path() / "a" / "1.jpg");
  std::ofstream(images.path() / "a" / "2.png", std::ios::binary) << picture(2);
  const auto source = open_data_source(images.path(), Split::kTrain);
  // A transform that asks for it gets JPEGs as bytes, from a folder as from shards.
  Transform kind = kNumberAndNoise;
  kind.encoded = true;
  kind.apply = [](const Sample& sample, Random&, std::span<float> out) {
    out[0] = float(sample.encoded.size());
    out[1] = float(sample.image.width);
  };
  const Batch batch = all(*source->batches(kind, evaluation_options()), 0).at(0);
  EXPECT_EQ(batch.images[0].view(-1)[0].item<float>(),
            float(fs::file_size(test::data("images/jpeg_420.jpg"))));
  EXPECT_EQ(batch.images[0].view(-1)[1].item<float>(), 0);
  EXPECT_EQ(batch.images[1].view(-1)[0].item<float>(), 0);
  EXPECT_EQ(batch.images[1].view(-1)[1].item<float>(), 1);
}

}  // namespace
}  // namespace asmlp::data::shard_loader_test
