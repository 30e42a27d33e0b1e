// What can be worked out by hand; dataset/coco_golden_test.cc compares with pycocotools.
#include "asmlp/metrics/coco_eval.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "asmlp/core/error.h"
#include "asmlp/metrics/run_throwing.h"

namespace asmlp::coco_eval_test {
namespace {

CocoGroundTruth object(int image, int label, CocoBox box, bool crowd = false) {
  return {image, label, box, box[2] * box[3], crowd, {}};
}

CocoDetection found(int image, int label, CocoBox box, double score) {
  return {image, label, score, box, {}};
}

CocoScores evaluate_boxes(int images, int categories,
                          const std::vector<CocoGroundTruth>& ground_truth,
                          const std::vector<CocoDetection>& detections, int threads = 1) {
  ThreadPool pool(threads);
  return evaluate_coco(CocoTask::kBox, images, categories, ground_truth, detections, pool);
}

TEST(CocoEval, PerfectDetectionsScoreOne) {
  const std::vector<CocoGroundTruth> ground_truth = {
      object(0, 0, {0, 0, 10, 10}), object(0, 1, {0, 0, 50, 50}), object(1, 1, {5, 5, 200, 200})};
  std::vector<CocoDetection> detections;
  for (const CocoGroundTruth& truth : ground_truth) {
    detections.push_back(found(truth.image, truth.label, truth.box, 0.5));
  }
  const CocoScores scores = evaluate_boxes(2, 3, ground_truth, detections);
  // The precision is 1 / (1 + epsilon), the smallest double below 1.
  for (const double value : scores.stats()) EXPECT_NEAR(value, 1.0, 1e-15);
  ASSERT_EQ(scores.category_ap.size(), 3u);
  EXPECT_NEAR(scores.category_ap[1], 1.0, 1e-15);
  EXPECT_EQ(scores.category_ap[2], -1.0);
}

TEST(CocoEval, NothingToFindIsMinusOneAndNothingFoundIsZero) {
  for (const double value : evaluate_boxes(0, 0, {}, {}).stats()) EXPECT_EQ(value, -1.0);
  const std::vector<CocoGroundTruth> crowd = {object(0, 0, {0, 0, 10, 10}, true)};
  const std::vector<CocoDetection> detections = {found(0, 0, {0, 0, 10, 10}, 0.5)};
  for (const double value : evaluate_boxes(1, 1, crowd, detections).stats()) {
    EXPECT_EQ(value, -1.0);
  }
  const CocoScores none = evaluate_boxes(1, 1, {object(0, 0, {0, 0, 10, 10})}, {});
  EXPECT_EQ(none.ap, 0.0);
  EXPECT_EQ(none.ar_small, 0.0);
  EXPECT_EQ(none.ap_medium, -1.0);
  EXPECT_EQ(none.category_ap, std::vector<double>{0.0});
}

TEST(CocoEval, PrecisionIsSampledAtTheRecallsThatAreReached) {
  // Of two objects one is found, after a wrong detection: recall 1/2 at precision 1/2. The recalls
  // 0, 0.01, ..., 0.50 are 51 of 101.
  const CocoScores scores =
      evaluate_boxes(1, 1, {object(0, 0, {0, 0, 10, 10}), object(0, 0, {50, 50, 10, 10})},
                     {found(0, 0, {100, 100, 10, 10}, 0.9), found(0, 0, {0, 0, 10, 10}, 0.8)});
  EXPECT_NEAR(scores.ap, 0.5 * 51 / 101, 1e-15);
  EXPECT_NEAR(scores.ar100, 0.5, 1e-15);
  EXPECT_EQ(scores.ar1, 0.0);  // the first detection is the wrong one
}

double mean_of(const CocoCurve& curve) {
  return std::accumulate(curve.begin(), curve.end(), 0.0) / kCocoRecalls;
}

TEST(CocoEval, CurvesAreThePrecisionAtEachRecall) {
  // Three objects; by falling score right, wrong, right: recalls 1/3, 1/3, 2/3 with precisions 1,
  // 1/2, 2/3, of which a recall takes the largest from it on. The second is found to overlap 0.6.
  const CocoScores scores =
      evaluate_boxes(1, 2,
                     {object(0, 0, {0, 0, 10, 10}), object(0, 0, {50, 50, 10, 10}),
                      object(0, 0, {80, 80, 10, 10})},
                     {found(0, 0, {0, 0, 10, 10}, 0.9), found(0, 0, {200, 0, 10, 10}, 0.8),
                      found(0, 0, {50, 50, 10, 6}, 0.7)});
  ASSERT_EQ(scores.curves.size(), 2u);
  for (int r = 0; r < kCocoRecalls; ++r) {
    const double at_half = r <= 33 ? 1 : r <= 66 ? 2.0 / 3 : 0, at_three_quarters = r <= 33 ? 1 : 0;
    EXPECT_NEAR(scores.curves[0][0][size_t(r)], at_half, 1e-15) << r;
    EXPECT_NEAR(scores.curves[0][5][size_t(r)], at_three_quarters, 1e-15) << r;
    EXPECT_EQ(scores.curves[1][0][size_t(r)], -1) << r;
  }
  EXPECT_NEAR(scores.ap50, (34 + 33 * 2.0 / 3) / 101, 1e-14);
  EXPECT_EQ(mean_curve(scores, 0), scores.curves[0][0]);
  EXPECT_EQ(mean_curve(evaluate_boxes(1, 1, {}, {}), 0)[50], -1);
}

TEST(CocoEval, OverlapDecidesAtWhichThresholdsADetectionIsRight) {
  // 10 x 10 against 10 x 8 of it: overlap exactly 0.8, which counts at 0.50, ..., 0.80.
  const CocoScores scores =
      evaluate_boxes(1, 1, {object(0, 0, {0, 0, 10, 10})}, {found(0, 0, {0, 0, 10, 8}, 0.9)});
  EXPECT_NEAR(scores.ap50, 1, 1e-15);
  EXPECT_NEAR(scores.ap75, 1, 1e-15);
  EXPECT_NEAR(scores.ap, 0.7, 1e-15);
}

TEST(CocoEval, CrowdsSwallowDetectionsOneObjectTakesOne) {
  const CocoBox box = {0, 0, 10, 10};
  // Three detections of one object: one right, two wrong after it, so the precision stays 1.
  EXPECT_NEAR(evaluate_boxes(1, 1, {object(0, 0, box)},
                             {found(0, 0, box, 0.9), found(0, 0, box, 0.8), found(0, 0, box, 0.7)})
                  .ap,
              1, 1e-15);
  // Two in a crowd are ignored although their scores are higher.
  const std::vector<CocoGroundTruth> ground_truth = {object(0, 0, {0, 0, 100, 100}, true),
                                                     object(0, 0, {200, 200, 10, 10})};
  const std::vector<CocoDetection> detections = {found(0, 0, {0, 0, 10, 10}, 0.9),
                                                 found(0, 0, {20, 20, 10, 10}, 0.8),
                                                 found(0, 0, {200, 200, 10, 10}, 0.7)};
  EXPECT_NEAR(evaluate_boxes(1, 1, ground_truth, detections).ap, 1, 1e-15);
}

TEST(CocoEval, NoMoreThanAHundredDetectionsPerImageCount) {
  std::vector<CocoDetection> detections;
  for (int i = 0; i < 100; ++i) detections.push_back(found(0, 0, {500, 500, 9, 9}, 1.0 - 1e-3 * i));
  detections.push_back(found(0, 0, {0, 0, 10, 10}, 0.5));
  EXPECT_EQ(evaluate_boxes(1, 1, {object(0, 0, {0, 0, 10, 10})}, detections).ar100, 0.0);
  detections.erase(detections.begin());
  EXPECT_NEAR(evaluate_boxes(1, 1, {object(0, 0, {0, 0, 10, 10})}, detections).ar100, 1.0, 1e-15);
}

TEST(CocoEval, ThreadsAndTheOrderOfImagesDoNotChangeABit) {
  std::mt19937 random(13);
  std::vector<CocoGroundTruth> ground_truth;
  std::vector<CocoDetection> detections;
  const auto box = [&] {
    return CocoBox{double(random() % 90), double(random() % 90), double(random() % 60),
                   double(random() % 60)};
  };
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int i = 0; i < 400; ++i)
    ground_truth.push_back(object(pick(50), pick(7), box(), pick(9) == 0));
  for (int i = 0; i < 3000; ++i) {
    detections.push_back(found(pick(50), pick(8), box(), double(pick(20)) / 20));
    if (pick(4) == 0) {
      const CocoGroundTruth& near = ground_truth[random() % ground_truth.size()];
      detections.push_back(found(near.image, near.label, near.box, double(pick(20)) / 20));
    }
  }
  const CocoScores expected = evaluate_boxes(50, 8, ground_truth, detections);
  EXPECT_GT(expected.ap, 0.02);
  EXPECT_NEAR(mean_of(mean_curve(expected, 0)), expected.ap50, 1e-14);
  EXPECT_NEAR(mean_of(mean_curve(expected, 5)), expected.ap75, 1e-14);
  for (size_t k = 0; k < expected.curves.size(); ++k) {
    double sum = 0;
    for (const CocoCurve& curve : expected.curves[k]) sum += mean_of(curve);
    EXPECT_NEAR(sum / kCocoOverlaps, expected.category_ap[k], 1e-14) << k;
  }
  // Only the order within an image matters.
  std::ranges::stable_sort(ground_truth, {}, &CocoGroundTruth::image);
  std::ranges::stable_sort(detections, std::greater(), &CocoDetection::image);
  for (const int threads : {1, 2, 5}) {
    const CocoScores scores = evaluate_boxes(50, 8, ground_truth, detections, threads);
    EXPECT_EQ(scores.stats(), expected.stats());
    EXPECT_EQ(scores.category_ap, expected.category_ap);
    EXPECT_EQ(scores.curves, expected.curves);
  }
}

TEST(CocoEval, BadInputIsAnError) {
  const CocoBox box = {0, 0, 10, 10};
  const auto bad = [](const std::vector<CocoGroundTruth>& ground_truth,
                      const std::vector<CocoDetection>& detections, CocoTask task) {
    ThreadPool pool(2);
    EXPECT_THROW(evaluate_coco(task, 2, 2, ground_truth, detections, pool), Error);
  };
  bad({object(2, 0, box)}, {}, CocoTask::kBox);
  bad({object(-1, 0, box)}, {}, CocoTask::kBox);
  bad({object(0, 2, box)}, {}, CocoTask::kBox);
  bad({{0, 0, box, NAN, false, {}}}, {}, CocoTask::kBox);
  bad({}, {found(0, -1, box, 1)}, CocoTask::kBox);
  bad({}, {found(0, 0, box, NAN)}, CocoTask::kBox);
  bad({}, {found(0, 0, {0, 0, NAN, 1}, 1)}, CocoTask::kBox);
  bad({object(0, 0, box)}, {}, CocoTask::kMask);  // no mask
  CocoGroundTruth truth = object(0, 0, box);
  truth.mask = {2, 2, {4}};
  CocoDetection detection = found(0, 0, box, 1);
  detection.mask = {1, 4, {4}};
  bad({truth}, {detection}, CocoTask::kMask);  // another size
  detection.mask = {2, 2, {3}};
  bad({truth}, {detection}, CocoTask::kMask);  // broken, found out on a worker thread
}

TEST(RunThrowing, PassesAnExceptionOnAndLeavesThePoolUsable) {
  ThreadPool pool(3);
  EXPECT_THROW(run_throwing(pool, 100,
                            [](int task) {
                              if (task == 57) fail(ErrorCode::kIo, "task {}", task);
                            }),
               Error);
  std::atomic<int> sum = 0;
  run_throwing(pool, 100, [&](int task) { sum += task; });
  EXPECT_EQ(sum, 4950);
}

}  // namespace
}  // namespace asmlp::coco_eval_test
