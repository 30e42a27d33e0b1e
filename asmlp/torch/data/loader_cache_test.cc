// Batches of image folders through a cache: the same to the last bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/dataset/cache/image_cache.h"
#include "asmlp/dataset/subset.h"
#include "asmlp/image/encode.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/torch/data/augment/transforms.h"
#include "asmlp/torch/data/data_source.h"
#include "tests/support/images.h"
#include "tests/support/support.h"

namespace asmlp::data::loader_cache_test {
namespace {

namespace fs = std::filesystem;

// Photos, a gray one, a turned one, and two damaged ones of which a part can be decoded.
class LoaderCache : public testing::Test {
 protected:
  LoaderCache() {
    const fs::path a = folder_.path() / "set" / "a", b = folder_.path() / "set" / "b";
    fs::create_directories(a);
    fs::create_directories(b);
    for (const char* name : {"chelsea.png", "rocket.jpg", "grace_hopper.jpg"}) {
      fs::copy_file(test::data(std::string("photos/") + name), a / name);
    }
    fs::copy_file(test::data("images/jpeg_exif_rotated.jpg"), b / "turned.jpg");
    write_png(b / "gray.png", noise_image(50, 40, 1));
    write_png(b / "color.png", noise_image(40, 70, 3));
    const std::string jpeg = read_file(test::data("photos/flower.jpg"));
    std::ofstream(b / "cut.jpg") << jpeg.substr(0, jpeg.size() / 3);
    std::ofstream(b / "none.jpg") << jpeg.substr(0, 300);
  }

  std::vector<Batch> batches(const std::shared_ptr<const ImageCache>& cache, bool training,
                             int channels) {
    const auto source = make_data_source(open_image_folder(folder_.path() / "set"));
    Preprocessing preprocessing;
    preprocessing.size = 48;
    preprocessing.mean.resize(size_t(channels));
    preprocessing.std.resize(size_t(channels));
    Transform transform{.channels = channels, .height = 48, .width = 48, .encoded = training};
    transform.cache = cache;
    transform.apply = [=](const Sample& sample, Random& random, std::span<float> out) {
      if (training) return transform_for_training(sample, preprocessing, {}, random, out);
      const Image image = sample.view.pixels != nullptr ? copy_of(sample.view) : sample.image;
      transform_for_evaluation(image, preprocessing, out);
    };
    LoaderOptions options{.batch_size = 3, .workers = 2, .seed = 3};
    if (training) {
      options.order = Order::kShuffled;
      options.remainder = Remainder::kDrop;
    }
    const auto loader = source->batches(transform, options);
    std::vector<Batch> all;
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      BatchStream stream = loader->start(epoch);
      while (auto batch = stream.next()) all.push_back(*std::move(batch));
    }
    return all;
  }

  std::shared_ptr<const ImageCache> open(CacheMode mode, int channels, int64_t memory = 0) {
    set_ = make_data_source(open_image_folder(folder_.path() / "set"));
    CacheOptions options{.mode = mode, .folder = folder_.path() / "kept", .memory = memory};
    return open_image_cache(*set_->cache_contents("the set", channels), options);
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<DataSource> set_;
};

TEST_F(LoaderCache, GivesTheSameBatches) {
  for (const int channels : {3, 1}) {
    for (const bool training : {true, false}) {
      const std::vector<Batch> expected = batches(nullptr, training, channels);
      ASSERT_EQ(expected.size(), training ? 6u : 9u);
      for (const auto& [mode, memory] : {std::pair{CacheMode::kRam, 0},
                                         {CacheMode::kRam, 900'000},
                                         {CacheMode::kDisk, 0},
                                         {CacheMode::kDisk, 0}}) {
        const std::vector<Batch> cached = batches(open(mode, channels, memory), training, channels);
        ASSERT_EQ(cached.size(), expected.size());
        for (size_t i = 0; i < cached.size(); ++i) {
          EXPECT_TRUE(torch::equal(cached[i].images, expected[i].images)) << i;
          EXPECT_TRUE(torch::equal(cached[i].targets, expected[i].targets)) << i;
          EXPECT_EQ(cached[i].bad, expected[i].bad) << i;
        }
      }
    }
  }
}

// A part of a set is kept by its own numbers.
TEST_F(LoaderCache, KnowsTheFilesOfAPart) {
  auto [most, held] =
      hold_out_samples(open_image_folder(folder_.path() / "set"), 0.4, 1, "the set");
  const Dataset& part = *held;
  const auto source = make_data_source(part);
  const auto contents = source->cache_contents("held out", 3);
  ASSERT_TRUE(contents);
  ASSERT_EQ(contents->size, part.size());
  for (int64_t i = 0; i < part.size(); ++i) {
    EXPECT_EQ(contents->file(i), folder_.path() / "set" / part.name(i));
  }
}

}  // namespace
}  // namespace asmlp::data::loader_cache_test
