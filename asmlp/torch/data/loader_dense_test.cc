#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "asmlp/core/error.h"
#include "asmlp/torch/data/loader.h"
#include "tests/support/support.h"

namespace asmlp::data::loader_dense_test {
namespace {

using Indices = std::vector<int64_t>;

// Images of many sizes that hold their own index and a draw; every third one is of group 1. With
// `targets` they are a segmentor's.
class SizedImages : public SampleSource {
 public:
  explicit SizedImages(int64_t size, std::set<int64_t> broken = {}, bool targets = false)
      : size_(size), broken_(std::move(broken)), targets_(targets) {}
  int64_t size() const override { return size_; }
  int group(int64_t index) const override { return index % 3 == 1 ? 1 : 0; }
  TensorSample get(int64_t index, Random& random) const override {
    require(!broken_.contains(index), ErrorCode::kBadFormat, "image {} is broken", index);
    TensorSample sample;
    sample.info.height = sample.info.padded_height = 1 + index % 5;
    sample.info.width = sample.info.padded_width = 2 + index % 7;
    sample.image = torch::full({2, sample.info.height, sample.info.width}, double(index));
    sample.image[1].fill_(random.uniform());
    if (targets_) {
      sample.target =
          torch::full({sample.info.height, sample.info.width}, index % 200, torch::kUInt8);
    }
    return sample;
  }

 private:
  int64_t size_;
  std::set<int64_t> broken_;
  bool targets_;
};

LoaderOptions training_options(int batch_size = 4, Remainder remainder = Remainder::kRepeat) {
  return {.batch_size = batch_size,
          .workers = 0,
          .seed = 9,
          .order = Order::kGrouped,
          .remainder = remainder};
}

LoaderOptions options_for(bool training, int batch_size = 4) {
  if (training) return training_options(batch_size);
  return {.batch_size = batch_size, .workers = 0, .seed = 9};
}

std::vector<Batch> all(const Loader& loader, int64_t epoch = 0, int64_t first_batch = 0) {
  BatchStream stream = loader.start(epoch, first_batch);
  std::vector<Batch> batches;
  while (auto batch = stream.next()) batches.push_back(std::move(*batch));
  EXPECT_EQ(std::ssize(batches), loader.batches() - first_batch);
  return batches;
}

Indices indices(const std::vector<Batch>& batches) {
  Indices result;
  for (const Batch& batch : batches) {
    for (const ImageInfo& info : batch.infos) result.push_back(info.index);
  }
  return result;
}

// What an image of a batch holds: its index and its draw. Checks that zeros are around it.
std::pair<float, float> content(const Batch& batch, size_t i) {
  const ImageInfo& info = batch.infos[i];
  const auto image = batch.images[int64_t(i)];
  const auto inside = image.narrow(1, 0, info.height).narrow(2, 0, info.width);
  const auto first = inside.select(1, 0).select(1, 0);
  EXPECT_TRUE(inside.equal(first.view({2, 1, 1}).expand_as(inside)));
  EXPECT_EQ(image.count_nonzero().item<int64_t>(), inside.count_nonzero().item<int64_t>());
  return {first[0].item<float>(), first[1].item<float>()};
}

void expect_equal(const std::vector<Batch>& a, std::span<const Batch> b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].index, b[i].index);
    EXPECT_EQ(a[i].bad, b[i].bad);
    ASSERT_EQ(a[i].infos.size(), b[i].infos.size());
    for (size_t k = 0; k < a[i].infos.size(); ++k) {
      EXPECT_EQ(a[i].infos[k].index, b[i].infos[k].index);
    }
    EXPECT_TRUE(torch::equal(a[i].images, b[i].images)) << "batch " << i;
  }
}

TEST(DenseLoader, APassHasEachImageOnceAndStepsOfOneGroup) {
  for (int64_t size : {1, 5, 24, 50, 101}) {
    const SizedImages data(size);
    for (int world : {1, 2, 3}) {
      for (const Remainder remainder : {Remainder::kDrop, Remainder::kRepeat}) {
        LoaderOptions options = training_options(4, remainder);
        options.world = world;
        const int64_t step = 4 * world;
        std::map<int, int64_t> members;
        for (int64_t i = 0; i < size; ++i) ++members[data.group(i)];
        int64_t dropped = 0, steps = 0;
        for (const auto& [group, count] : members) {
          dropped += count % step;
          steps += remainder == Remainder::kDrop ? count / step : (count + step - 1) / step;
        }
        if (steps == 0) {
          EXPECT_THROW(Loader(data, options), Error);
          continue;
        }
        const Loader loader(data, options);
        EXPECT_EQ(loader.batches(), steps);
        EXPECT_EQ(loader.images(), steps * step);
        for (int64_t pass : {0, 1, 7}) {
          const Indices order = loader.order(pass);
          ASSERT_EQ(std::ssize(order), steps * step);
          std::map<int64_t, int64_t> seen;
          for (size_t i = 0; i < order.size(); ++i) {
            ++seen[order[i]];
            EXPECT_EQ(data.group(order[i]), data.group(order[i / step * step]));
          }
          if (remainder == Remainder::kDrop) {
            EXPECT_EQ(std::ssize(seen), size - dropped);
            for (const auto& [index, count] : seen) EXPECT_EQ(count, 1) << index;
          } else {
            EXPECT_EQ(std::ssize(seen), size);
            // Repeated as evenly as it goes: all n times or n + 1 times, in each group.
            for (const auto& [index, count] : seen) {
              const int64_t in_group = members.at(data.group(index));
              const int64_t places = (in_group + step - 1) / step * step;
              EXPECT_GE(count, places / in_group);
              EXPECT_LE(count, (places + in_group - 1) / in_group);
            }
          }
        }
      }
    }
  }
}

TEST(DenseLoader, TheOrderDependsOnSeedAndPass) {
  const SizedImages data(120);
  LoaderOptions options = training_options();
  const Loader loader(data, options);
  EXPECT_EQ(loader.order(2), Loader(data, options).order(2));
  EXPECT_NE(loader.order(2), loader.order(3));
  options.seed = 10;
  EXPECT_NE(loader.order(2), Loader(data, options).order(2));
  // Groups come mixed: a pass is not first one, then the other.
  std::vector<int> groups;
  for (const int64_t index : loader.order(2)) groups.push_back(data.group(index));
  EXPECT_FALSE(std::ranges::is_sorted(groups) || std::ranges::is_sorted(groups, std::greater()));
}

TEST(DenseLoader, RanksSeeTogetherWhatOneProcessWithTheirBatchesSees) {
  const SizedImages data(101, {}, true);
  for (bool training : {true, false}) {
    for (int world : {2, 3}) {
      LoaderOptions options = options_for(training, 4 * world);
      const auto whole = all(Loader(data, options), 2);
      options.batch_size = 4;
      options.world = world;
      std::vector<std::vector<Batch>> parts;
      for (options.rank = 0; options.rank < world; ++options.rank) {
        parts.push_back(all(Loader(data, options), 2));
        if (training) {
          EXPECT_EQ(parts.back().size(), whole.size());
        }
      }
      for (size_t b = 0; b < whole.size(); ++b) {
        size_t place = 0;
        for (const auto& part : parts) {
          if (b >= part.size()) continue;
          EXPECT_EQ(part[b].index, int64_t(b));
          for (size_t i = 0; i < part[b].infos.size(); ++i, ++place) {
            ASSERT_LT(place, whole[b].infos.size());
            EXPECT_EQ(part[b].infos[i].index, whole[b].infos[place].index);
            EXPECT_EQ(content(part[b], i), content(whole[b], place));
          }
        }
        EXPECT_EQ(place, whole[b].infos.size());
      }
    }
  }
}

TEST(DenseLoader, NeitherWorkersNorTheStartChangeTheBatches) {
  std::set<int64_t> broken;
  for (int64_t i = 0; i < 90; i += 4) broken.insert(i);
  const SizedImages data(90, broken);
  for (bool training : {true, false}) {
    LoaderOptions options = options_for(training);
    const auto expected = all(Loader(data, options), 3);
    for (int workers : {1, 2, 5}) {
      options.workers = workers;
      expect_equal(all(Loader(data, options), 3), expected);
    }
    for (int64_t first : {1, 9, 22, 23}) {
      const auto rest = all(Loader(data, options), 3, first);
      ASSERT_EQ(std::ssize(rest), std::ssize(expected) - first);
      for (size_t i = 0; i < rest.size(); ++i) {  // what is reported is what was met since
        EXPECT_TRUE(torch::equal(rest[i].images, expected[size_t(first) + i].images));
      }
    }
  }
}

TEST(DenseLoader, EpochsOfAFixedLengthGoOnThroughThePasses) {
  const SizedImages data(50);
  LoaderOptions options = training_options(4, Remainder::kDrop);
  const int64_t per_pass = Loader(data, options).batches();
  ASSERT_EQ(per_pass, 12);  // 33 and 17 images: 8 and 4 batches
  Indices endless;
  for (int64_t pass = 0; pass < 5; ++pass) {
    const Indices order = Loader(data, options).order(pass);
    endless.insert(endless.end(), order.begin(), order.end());
  }
  for (int64_t length : {1, 5, 12, 19, 30}) {  // up to 2.5 passes
    options.batches_per_epoch = length;
    const Loader loader(data, options);
    EXPECT_EQ(loader.batches(), length);
    EXPECT_EQ(loader.images(), 4 * length);
    Indices seen;
    for (int64_t epoch = 0; seen.size() + size_t(length) * 4 <= endless.size(); ++epoch) {
      const Indices part = indices(all(loader, epoch));
      EXPECT_EQ(indices(all(loader, epoch, length / 2)),
                Indices(part.begin() + length / 2 * 4, part.end()));
      seen.insert(seen.end(), part.begin(), part.end());
    }
    ASSERT_GT(seen.size(), endless.size() / 2);
    EXPECT_TRUE(std::equal(seen.begin(), seen.end(), endless.begin()));
  }
}

TEST(DenseLoader, AnImageThatComesTwiceIsSeenInTwoWays) {
  const SizedImages data(3);  // two of group 0, one of group 1
  const Loader loader(data, training_options(8));
  std::set<float> draws;
  for (int64_t epoch : {0, 1}) {
    for (const Batch& batch : all(loader, epoch)) {
      for (size_t i = 0; i < batch.infos.size(); ++i) draws.insert(content(batch, i).second);
    }
  }
  EXPECT_EQ(draws.size(), 2u * 2 * 8);
}

TEST(DenseLoader, AnEvaluationHasEachImageOnceOverTheRanks) {
  for (int64_t size : {1, 7, 8, 9, 40}) {
    const SizedImages data(size);
    for (int world : {1, 2, 3}) {
      Indices seen;
      for (int rank = 0; rank < world; ++rank) {
        const Loader loader(data, {.batch_size = 4, .rank = rank, .world = world});
        EXPECT_EQ(loader.images(), size);
        const auto batches = all(loader);
        const Indices part = indices(batches);
        EXPECT_TRUE(std::ranges::is_sorted(part));
        seen.insert(seen.end(), part.begin(), part.end());
        for (const Batch& batch : batches) {
          for (size_t i = 0; i < batch.infos.size(); ++i) {
            EXPECT_EQ(content(batch, i).first, batch.infos[i].index);
          }
        }
      }
      std::ranges::sort(seen);
      ASSERT_EQ(std::ssize(seen), size);
      for (int64_t i = 0; i < size; ++i) EXPECT_EQ(seen[i], i);
    }
  }
}

TEST(DenseLoader, AnEvaluationLeavesBadImagesOutAndNamesThemOnce) {
  const std::set<int64_t> broken{0, 4, 5, 6, 7, 13};  // a whole batch
  const SizedImages data(15, broken);
  const Loader loader(data, {.batch_size = 4});
  std::vector<std::string> bad;
  const auto batches = all(loader);
  for (const Batch& batch : batches) {
    EXPECT_EQ(batch.bad_samples, std::ssize(batch.bad));
    bad.insert(bad.end(), batch.bad.begin(), batch.bad.end());
  }
  EXPECT_TRUE(batches[1].infos.empty());
  EXPECT_FALSE(batches[1].images.defined());
  EXPECT_EQ(indices(batches), (Indices{1, 2, 3, 8, 9, 10, 11, 12, 14}));
  std::vector<std::string> expected;
  for (const int64_t i : broken) expected.push_back(fmt::format("image {} is broken", i));
  EXPECT_EQ(bad, expected);
  for (const Batch& batch : all(loader, 1)) EXPECT_TRUE(batch.bad.empty());
}

TEST(DenseLoader, TrainingReplacesBadImagesByOthersOfTheirGroup) {
  std::set<int64_t> broken;
  for (int64_t i = 0; i < 101; i += 2) broken.insert(i);
  const SizedImages data(101, broken);
  const Loader loader(data, training_options(4, Remainder::kRepeat));
  std::set<std::string> bad;
  std::set<float> draws;
  const auto batches = all(loader);
  for (const Batch& batch : batches) {
    ASSERT_EQ(batch.infos.size(), 4u);
    for (size_t i = 0; i < 4; ++i) {
      const auto [index, draw] = content(batch, i);
      EXPECT_EQ(index, batch.infos[i].index);
      EXPECT_FALSE(broken.contains(batch.infos[i].index));
      EXPECT_EQ(data.group(batch.infos[i].index), data.group(batch.infos[0].index));
      draws.insert(draw);
    }
    for (const std::string& name : batch.bad) EXPECT_TRUE(bad.insert(name).second) << name;
  }
  EXPECT_EQ(bad.size(), broken.size());
  EXPECT_EQ(draws.size(), batches.size() * 4);
  for (const Batch& batch : all(loader, 1)) EXPECT_TRUE(batch.bad.empty());
}

// Of the ItemLoader at d0ef276, computed from its source.
TEST(DenseLoader, KeepsTheBatchesOfEarlierVersions) {
  const SizedImages data(10, {4, 6});
  const std::vector<std::pair<float, float>> expected{
      {3, 0.223914926f}, {8, 0.490720265f}, {7, 0.375596109f}, {1, 0.008922481f},
      {1, 0.349104471f}, {1, 0.885131785f}, {5, 0.197764000f}, {0, 0.874218086f},
      {8, 0.787188499f}, {2, 0.019431117f}, {9, 0.836669259f}, {3, 0.944186014f}};
  size_t place = 0;
  for (const Batch& batch : all(Loader(data, training_options(2)), 3)) {
    for (size_t i = 0; i < 2; ++i, ++place) {
      EXPECT_EQ(content(batch, i).first, expected.at(place).first);
      EXPECT_NEAR(content(batch, i).second, expected[place].second, 1e-7);
    }
  }
  EXPECT_EQ(place, expected.size());
}

TEST(DenseLoader, GivesUpWhenNothingOfAGroupIsGood) {
  std::set<int64_t> broken;
  for (int64_t i = 1; i < 30; i += 3) broken.insert(i);  // all of group 1
  const SizedImages data(30, broken);
  const Loader loader(data, training_options());
  EXPECT_THAT(test::error_of(ErrorCode::kBadFormat, [&] { all(loader); }),
              testing::HasSubstr("is broken): the data is damaged"));
}

TEST(DenseLoader, PadsABatchToItsLargestImage) {
  const SizedImages data(40, {}, true);
  for (bool training : {true, false}) {
    for (const Batch& batch : all(Loader(data, options_for(training, 5)))) {
      int64_t height = 0, width = 0;
      for (const ImageInfo& info : batch.infos) {
        height = std::max(height, info.height);
        width = std::max(width, info.width);
      }
      const int64_t n = std::ssize(batch.infos);
      EXPECT_EQ(batch.images.sizes().vec(), (Indices{n, 2, height, width}));
      ASSERT_EQ(batch.targets.sizes().vec(), (Indices{n, height, width}));
      EXPECT_EQ(batch.targets.scalar_type(), torch::kUInt8);
      for (int64_t i = 0; i < n; ++i) {
        const ImageInfo& info = batch.infos[size_t(i)];
        content(batch, size_t(i));  // zeros around the image
        auto expected = torch::full({height, width}, 255, torch::kUInt8);
        expected.narrow(0, 0, info.height).narrow(1, 0, info.width).fill_(info.index % 200);
        EXPECT_TRUE(batch.targets[i].equal(expected));
      }
    }
  }
}

TEST(DenseLoader, BadOptionsAreNamed) {
  const auto error_of = [](int64_t size, auto change) -> std::string {
    const SizedImages data(size);
    LoaderOptions options = training_options();
    change(options);
    try {
      Loader(data, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  using testing::HasSubstr, testing::StartsWith;
  EXPECT_THAT(error_of(9, [](auto& o) { o.batch_size = 0; }), StartsWith("batch-size 0"));
  EXPECT_THAT(error_of(9, [](auto& o) { o.workers = 257; }), StartsWith("workers 257"));
  EXPECT_THAT(error_of(9, [](auto& o) { o.rank = 1; }), StartsWith("rank 1"));
  EXPECT_THAT(error_of(9, [](auto& o) { o.batches_per_epoch = -1; }), HasSubstr("-1"));
  EXPECT_THAT(error_of(0, [](auto&) {}), HasSubstr("no image"));
  // 6 and 3 images: 9 are enough for 8, but no group is.
  const auto drop = [](auto& o) { o.remainder = Remainder::kDrop, o.world = 2; };
  EXPECT_THAT(error_of(9, drop),
              HasSubstr("6 images in its largest group, fewer than one batch of 4 for each of "
                        "2 processes"));
  EXPECT_EQ(error_of(12, drop), "");
  EXPECT_THAT(error_of(9, [](auto& o) { o.remainder = Remainder::kKeep; }),
              HasSubstr("for training"));
}

}  // namespace
}  // namespace asmlp::data::loader_dense_test
