#include "asmlp/torch/data/evaluate_loop.h"

#include <gtest/gtest.h>

#include <mutex>
#include <stdexcept>

#include "asmlp/core/error.h"
#include "asmlp/torch/data/loader.h"
#include "tests/support/ranks.h"

namespace asmlp::data::evaluate_loop_test {
namespace {

// Eleven images of one pixel, their number; 3 and 8 are broken.
class Numbered final : public SampleSource {
 public:
  int64_t size() const override { return 11; }
  TensorSample get(int64_t index, Random&) const override {
    require(index != 3 && index != 8, ErrorCode::kBadFormat, "image {} is broken", index);
    TensorSample sample;
    sample.image = torch::full({1, 1, 1}, double(index));
    return sample;
  }
};

struct Network : torch::nn::Module {};

TEST(EvaluateLoop, CountsOfAllProcessesWithoutWhatIsBroken) {
  const Numbered source;
  for (const int size : {1, 2, 3}) {
    std::mutex mutex;
    std::vector<std::string> bad;
    double all = 0;
    const auto body = [&](dist::World& world) {
      const Loader loader(
          source,
          {.batch_size = 2, .workers = world.rank(), .rank = world.rank(), .world = world.size()});
      Network network;
      double mine = 0;
      int64_t told = 0, added = 0;
      EvaluateOptions options;
      options.progress = [&](int64_t images) { return told = images, true; };
      options.on_bad = [&](const std::string& message) {
        const std::lock_guard lock(mutex);
        bad.push_back(message);
      };
      const auto done = evaluate_batches(network, loader, world, options, [&](const Batch& batch) {
        EXPECT_FALSE(network.is_training());
        EXPECT_FALSE(at::GradMode::is_enabled());
        EXPECT_GT(batch.size(), 0);
        added += batch.size();
        mine += batch.images.sum().item<double>();
      });
      EXPECT_TRUE(network.is_training());
      EXPECT_TRUE(at::GradMode::is_enabled());
      EXPECT_EQ(told, added);
      ASSERT_TRUE(done.has_value());
      EXPECT_EQ(done->images, 9);
      EXPECT_EQ(done->bad_samples, 2);
      EXPECT_GT(done->seconds, 0);
      const double numbers[]{mine, 1};
      EXPECT_EQ(sums_of_all(world, numbers), (std::vector<double>{55 - 3 - 8, double(size)}));
      const std::lock_guard lock(mutex);
      all += mine;
    };
    size == 1 ? body(*dist::single_world()) : dist::run_ranks(size, body);
    EXPECT_EQ(all, 55 - 3 - 8);
    EXPECT_EQ(bad.size(), 2u);
  }
}

TEST(EvaluateLoop, IsStoppedEverywhereByOne) {
  const Numbered source;
  dist::run_ranks(2, [&](dist::World& world) {
    const Loader loader(
        source, {.batch_size = 1, .workers = 0, .rank = world.rank(), .world = world.size()});
    Network network;
    int64_t batches = 0;
    EvaluateOptions options;
    options.progress = [&](int64_t) { return world.rank() == 0 || batches < 2; };
    EXPECT_FALSE(evaluate_batches(network, loader, world, options, [&](const Batch&) {
                   ++batches;
                 }).has_value());
    EXPECT_EQ(batches, world.rank() == 0 ? 5 : 2);
  });
}

// An evaluation that fails leaves a network that can be trained on.
TEST(EvaluateLoop, TheModeComesBackAfterAnError) {
  const Numbered source;
  const Loader loader(source, {.batch_size = 2, .workers = 0});
  const auto world = dist::single_world();
  for (const bool training : {true, false}) {
    Network network;
    network.train(training);
    EXPECT_THROW(evaluate_batches(network, loader, *world, {},
                                  [](const Batch&) { throw std::logic_error("no"); }),
                 std::logic_error);
    EXPECT_EQ(network.is_training(), training);
    EXPECT_TRUE(at::GradMode::is_enabled());
  }
}

}  // namespace
}  // namespace asmlp::data::evaluate_loop_test
