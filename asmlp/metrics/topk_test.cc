#include "asmlp/metrics/topk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "asmlp/core/error.h"

namespace asmlp::topk_test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Few distinct values, so that ties are common.
std::vector<float> random_logits(std::mt19937& random, int classes) {
  std::vector<float> logits(classes);
  for (float& value : logits) value = static_cast<float>(static_cast<int>(random() % 9) - 4);
  return logits;
}

TEST(TopK, EqualsAStableSort) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 500; ++trial) {
    const int classes = static_cast<int>(random() % 20);
    const std::vector<float> values = random_logits(random, classes);
    std::vector<int> sorted(classes);
    std::iota(sorted.begin(), sorted.end(), 0);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [&](int a, int b) { return values[a] > values[b]; });
    const int k = static_cast<int>(random() % 24);
    sorted.resize(std::min(k, classes));
    EXPECT_EQ(top_k(values, k), sorted);
  }
  EXPECT_TRUE(top_k(std::vector<float>{1, 2}, -1).empty());
}

TEST(TopK, PutsNanLast) {
  EXPECT_EQ(top_k(std::vector<float>{kNan, 1, kNan, -INFINITY, 2}, 5),
            (std::vector<int>{4, 1, 3, 0, 2}));
}

TEST(Softmax, SumsToOneAtAnyShift) {
  std::mt19937 random(2);
  for (const float shift : {0.0f, 1000.0f, -1000.0f}) {
    std::vector<float> logits = random_logits(random, 11);
    for (float& value : logits) value += shift;
    const std::vector<float> p = softmax(logits);
    EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1.0, 1e-6);
    for (int i = 1; i < 11; ++i) {
      EXPECT_NEAR(p[i] / p[0], std::exp(double{logits[i]} - logits[0]),
                  1e-6 * std::exp(double{logits[i]} - logits[0]));
    }
  }
  EXPECT_TRUE(softmax({}).empty());
}

TEST(TopKMeter, AgreesWithTopKAndSoftmax) {
  std::mt19937 random(3);
  for (const int classes : {1, 3, 5, 17}) {
    TopKMeter whole, parts[3];
    int correct1 = 0, correct5 = 0;
    double loss = 0;
    constexpr int kCount = 200;
    for (int i = 0; i < kCount; ++i) {
      const std::vector<float> logits = random_logits(random, classes);
      const int target = static_cast<int>(random() % classes);
      const std::vector<int> best = top_k(logits, 5);
      correct1 += best[0] == target;
      correct5 += std::count(best.begin(), best.end(), target) > 0;
      loss -= std::log(double{softmax(logits)[target]});
      whole.add(logits, target);
      parts[random() % 3].add(logits, target);
    }
    TopKMeter merged;
    for (const TopKMeter& part : parts) merged.merge(part);
    for (const TopKMeter& meter : {whole, merged}) {
      EXPECT_EQ(meter.count(), kCount);
      EXPECT_DOUBLE_EQ(meter.top1(), 100.0 * correct1 / kCount);
      EXPECT_DOUBLE_EQ(meter.top5(), 100.0 * correct5 / kCount);
      EXPECT_NEAR(meter.loss(), loss / kCount, 1e-6);
    }
    if (classes <= 5) {
      EXPECT_EQ(whole.top5(), 100.0);
    }
    whole.reset();
    EXPECT_EQ(whole.count(), 0);
    EXPECT_EQ(whole.top1() + whole.top5() + whole.loss(), 0.0);
  }
}

TEST(TopKMeter, NanIsNeverCorrectAndABadTargetIsAnError) {
  TopKMeter meter;
  meter.add(std::vector<float>{kNan, kNan}, 0);
  EXPECT_EQ(meter.top1(), 0.0);
  EXPECT_EQ(meter.top5(), 0.0);
  EXPECT_TRUE(std::isnan(meter.loss()));
  EXPECT_THROW(meter.add(std::vector<float>{1, 2}, 2), Error);
  EXPECT_THROW(meter.add(std::vector<float>{1, 2}, -1), Error);
  EXPECT_EQ(meter.count(), 1);
}

TEST(ConfusionMatrix, CountsByTrueAndPredictedClass) {
  ConfusionMatrix matrix(3);
  matrix.add(0, 2);
  matrix.add(0, 2);
  matrix.add(2, 0);
  EXPECT_EQ(matrix.at(0, 2), 2);
  EXPECT_EQ(matrix.at(2, 0), 1);
  EXPECT_EQ(matrix.at(1, 1), 0);
  EXPECT_THROW(matrix.add(3, 0), Error);
  EXPECT_THROW(matrix.add(0, -1), Error);
  EXPECT_THROW(matrix.at(0, 3), Error);
  EXPECT_THROW(ConfusionMatrix(0), Error);
}

TEST(ConfusionMatrix, AddsLabelMapsAndPartsOfProcesses) {
  ConfusionMatrix one(3), two(3);
  one.add(std::vector<uint8_t>{0, 1, 1, 2, 255}, std::vector<uint8_t>{0, 2, 1, 2, 0});
  two.add(1, 2);
  std::vector<double> sums = one.sums();
  const std::vector<double> others = two.sums();
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += others[i];
  EXPECT_EQ(sums, (std::vector<double>{1, 0, 0, 0, 1, 2, 0, 0, 1}));
  const ConfusionMatrix all = ConfusionMatrix::from_sums(sums);
  EXPECT_EQ(all.classes(), 3);
  EXPECT_EQ(all.at(1, 2), 2);
  EXPECT_EQ(all.at(2, 1), 0);
  EXPECT_THROW(ConfusionMatrix::from_sums(std::vector<double>(8)), Error);
  EXPECT_THROW(one.add(std::vector<uint8_t>{0}, std::vector<uint8_t>{3}), Error);
  EXPECT_THROW(one.add(std::vector<uint8_t>{0}, std::vector<uint8_t>{}), Error);
}

}  // namespace
}  // namespace asmlp::topk_test
