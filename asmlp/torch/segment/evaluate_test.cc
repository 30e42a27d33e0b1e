#include "asmlp/torch/segment/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <exception>
#include <fstream>
#include <thread>

#include "asmlp/torch/distributed/connect.h"
#include "asmlp/torch/segment/ade_source.h"
#include "tests/support/ade_files.h"
#include "tests/support/segmentors.h"
#include "tests/support/weight_files.h"

namespace asmlp::segment::evaluate_test {
namespace {

constexpr int kClasses = 5;

class EvaluateTest : public testing::Test {
 protected:
  EvaluateTest() {
    write_ade(folder_.path(),
              {{41, 60}, {52, 33}, {20, 20}, {64, 45}, {30, 71}, {15, 90}, {60, 60}}, kClasses);
  }

  Ade20k open() const { return Ade20k(folder_.path(), Split::kValidation); }

  std::optional<SegmentationEvaluation> run(const PredictOptions& predicting, dist::World& world,
                                            const data::EvaluateOptions& options = {},
                                            int batch_size = 1) {
    const Ade20k data = open();
    const AdeTestSource source(data);
    const data::Loader loader(
        source, {.batch_size = batch_size, .rank = world.rank(), .world = world.size()});
    SegmentorNet net = small_segmentor(kClasses);
    net->train();
    const auto result = evaluate(*net, loader, small_input(), predicting, world, options);
    EXPECT_TRUE(net->is_training());
    return result;
  }

  SegmentationEvaluation run_alone(const PredictOptions& predicting = {},
                                   const data::EvaluateOptions& options = {}, int batch_size = 1) {
    return run(predicting, *dist::single_world(), options, batch_size).value();
  }

  test::TemporaryFolder folder_;
};

void expect_equal(const SegmentationEvaluation& a, const SegmentationEvaluation& b) {
  EXPECT_EQ(a.mean_iou, b.mean_iou);
  EXPECT_EQ(a.mean_accuracy, b.mean_accuracy);
  EXPECT_EQ(a.pixel_accuracy, b.pixel_accuracy);
  EXPECT_EQ(a.images, b.images);
  EXPECT_EQ(a.bad_samples, b.bad_samples);
}

// A confusion matrix of all pixels with a class.
TEST_F(EvaluateTest, GivesTheScoresOfAConfusionMatrix) {
  for (const PredictOptions& options :
       {PredictOptions{}, PredictOptions{.multi_scale = true, .flip = true}}) {
    SegmentorNet net = small_segmentor(kClasses);
    double confusion[kClasses][kClasses] = {};
    const Ade20k data = open();
    for (int64_t i = 0; i < data.size(); ++i) {
      const LabeledImage sample = data.get(i);
      const Image labels = predict(*net, sample.image, small_input(), options);
      for (size_t p = 0; p < labels.pixels.size(); ++p) {
        const int target = sample.labels.pixels[p];
        if (target != 255) ++confusion[target][labels.pixels[p]];
      }
    }
    double right = 0, all = 0, iou = 0, accuracy = 0;
    int with_iou = 0, with_accuracy = 0;
    const SegmentationEvaluation result = run_alone(options);
    ASSERT_EQ(result.iou.size(), size_t{kClasses});
    for (int k = 0; k < kClasses; ++k) {
      double labeled = 0, predicted = 0;
      for (int j = 0; j < kClasses; ++j) {
        labeled += confusion[k][j];
        predicted += confusion[j][k];
      }
      right += confusion[k][k];
      all += labeled;
      if (labeled > 0) accuracy += confusion[k][k] / labeled, ++with_accuracy;
      const double together = labeled + predicted - confusion[k][k];
      if (together > 0) {
        iou += confusion[k][k] / together, ++with_iou;
        EXPECT_NEAR(result.iou[size_t(k)], 100 * confusion[k][k] / together, 1e-9);
      } else {
        EXPECT_TRUE(std::isnan(result.iou[size_t(k)]));
      }
    }
    EXPECT_GT(right, 0);
    EXPECT_NEAR(result.mean_iou, 100 * iou / with_iou, 1e-9);
    EXPECT_NEAR(result.mean_accuracy, 100 * accuracy / with_accuracy, 1e-9);
    EXPECT_NEAR(result.pixel_accuracy, 100 * right / all, 1e-9);
    EXPECT_EQ(result.images, 7);
    EXPECT_EQ(result.bad_samples, 0);
  }
}

TEST_F(EvaluateTest, TheNumberOfProcessesAndTheBatchSizeChangeNothing) {
  const SegmentationEvaluation alone = run_alone();
  expect_equal(run_alone({}, {}, 3), alone);
  const int port = dist::free_port();
  std::vector<std::exception_ptr> errors(2);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        at::set_num_threads(1);
        const auto world = dist::connect({rank, 2, rank, "127.0.0.1", port, "a test", 2, ""});
        expect_equal(run({}, *world).value(), alone);
        // Stopped by one, stopped for both.
        data::EvaluateOptions options;
        options.progress = [&](int64_t images) { return rank == 0 || images < 2; };
        EXPECT_FALSE(run({}, *world, options).has_value());
      } catch (...) {
        errors[size_t(rank)] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

TEST_F(EvaluateTest, UnreadableImagesAreNamedAndLeftOut) {
  std::ofstream(folder_.path() / "images/validation/image_2.png") << "no PNG";
  data::EvaluateOptions options;
  std::vector<std::string> bad;
  std::vector<int64_t> done;
  options.on_bad = [&](const std::string& message) { bad.push_back(message); };
  options.progress = [&](int64_t images) { return done.push_back(images), true; };
  const SegmentationEvaluation result = run_alone({}, options);
  EXPECT_EQ(result.images, 6);
  EXPECT_EQ(result.bad_samples, 1);
  ASSERT_EQ(bad.size(), 1u);
  test::expect_words(bad[0], {"image_2.png"});
  EXPECT_EQ(done, (std::vector<int64_t>{1, 2, 2, 3, 4, 5, 6}));
}

}  // namespace
}  // namespace asmlp::segment::evaluate_test
