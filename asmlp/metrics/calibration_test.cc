#include "asmlp/metrics/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "asmlp/core/error.h"
#include "asmlp/metrics/topk.h"

namespace asmlp::calibration_test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Logits of images, and true classes that are drawn from their softmax: calibrated by construction.
struct Drawn {
  std::vector<float> logits;
  std::vector<int> targets;
};

Drawn draw(int images, int classes, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 2);
  Drawn drawn;
  for (int i = 0; i < images; ++i) {
    std::vector<float> row(classes);
    for (float& value : row) value = normal(random);
    const std::vector<float> p = softmax(row);
    drawn.targets.push_back(std::discrete_distribution<int>(p.begin(), p.end())(random));
    drawn.logits.insert(drawn.logits.end(), row.begin(), row.end());
  }
  return drawn;
}

double loss_of(const Drawn& drawn, int classes, double temperature) {
  double sum = 0;
  for (size_t i = 0; i < drawn.targets.size(); ++i) {
    const float* row = &drawn.logits[i * classes];
    double total = 0;
    for (int k = 0; k < classes; ++k) {
      total += std::exp((double{row[k]} - row[drawn.targets[i]]) / temperature);
    }
    sum += std::log(total);
  }
  return sum / static_cast<double>(drawn.targets.size());
}

ErrorCode code_of(const std::vector<float>& logits, int classes, const std::vector<int>& targets) {
  try {
    fit_temperature(logits, classes, targets);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kIo;
}

TEST(CalibrationMeter, AgreesWithACaseByHand) {
  // Bin 9, (8/15, 9/15]: 0.6 twice, one right; bin 15: 1.0 right, 0.95 wrong; bin 1: 0.
  CalibrationMeter meter, one, other;
  EXPECT_EQ(meter.ece() + meter.confidence() + double(meter.count()), 0.0);
  one.add(0.6, true);
  one.add(0.95, false);
  other.add(0.6, false);
  other.add(1.0, true);
  other.add(0.0, false);
  meter.merge(one);
  meter.merge(other);
  EXPECT_EQ(meter.count(), 5);
  EXPECT_NEAR(meter.confidence(), 3.15 / 5, 1e-12);
  EXPECT_NEAR(meter.ece(), (std::abs(1 - 1.2) + std::abs(1 - 1.95)) / 5, 1e-12);
}

TEST(CalibrationMeter, TakesConfidenceFromLogits) {
  CalibrationMeter meter, same;
  meter.add(std::vector<float>{0, std::log(3.0f)}, 1);
  same.add(0.75, true);
  meter.add(std::vector<float>{1, 1, -INFINITY}, 1);  // a tie is the first one's
  same.add(0.5, false);
  EXPECT_NEAR(meter.confidence(), same.confidence(), 1e-7);
  EXPECT_NEAR(meter.ece(), same.ece(), 1e-7);
  EXPECT_THROW(meter.add(std::vector<float>{1, 2}, 2), Error);
  EXPECT_THROW(meter.add(1.01, true), Error);
  EXPECT_THROW(meter.add(-0.01, true), Error);
  EXPECT_EQ(meter.count(), 2);  // an error adds nothing
  meter.add(std::vector<float>{1, kNan}, 0);
  EXPECT_TRUE(std::isnan(meter.ece()) && std::isnan(meter.confidence()));
}

TEST(CalibrationMeter, CalibratedPredictionsHaveNoError) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(0, 1);
  double before = 1;
  for (const int count : {1000, 100000}) {
    CalibrationMeter meter;
    for (int i = 0; i < count; ++i) {
      const double confidence = uniform(random);
      meter.add(confidence, uniform(random) < confidence);
    }
    // Of bin m, |correct - confidences| has an expectation below half the root of its samples.
    const double expected = 0.5 * std::sqrt(double(CalibrationMeter::kBins) / count);
    EXPECT_LT(meter.ece(), 2 * expected);
    EXPECT_LT(meter.ece(), before);
    before = meter.ece();
    EXPECT_NEAR(meter.confidence(), 0.5, 4 * std::sqrt(1.0 / 12 / count));
  }
}

TEST(FitTemperature, FindsTheScaleOfLogits) {
  constexpr int kClasses = 7, kImages = 4000;
  const Drawn drawn = draw(kImages, kClasses, 3);
  const double own = fit_temperature(drawn.logits, kClasses, drawn.targets);
  EXPECT_NEAR(own, 1, 0.06);  // the samples' own noise: about 1 / root of 4000, times 4
  for (const float scale : {0.01f, 0.5f, 3.0f, 200.0f}) {
    Drawn scaled = drawn;
    for (float& value : scaled.logits) value *= scale;
    const double fitted = fit_temperature(scaled.logits, kClasses, scaled.targets);
    EXPECT_NEAR(fitted, own * scale, 1e-6 * own * scale);
    const double least = loss_of(scaled, kClasses, fitted);
    EXPECT_LE(least, loss_of(scaled, kClasses, fitted * 1.001));
    EXPECT_LE(least, loss_of(scaled, kClasses, fitted / 1.001));
    // Cooled by it, the model is calibrated.
    CalibrationMeter hot, cold;
    const std::vector<float> cooled = with_temperature(scaled.logits, fitted);
    for (size_t i = 0; i < drawn.targets.size(); ++i) {
      hot.add(std::span(scaled.logits).subspan(i * kClasses, kClasses), drawn.targets[i]);
      cold.add(std::span(cooled).subspan(i * kClasses, kClasses), drawn.targets[i]);
    }
    EXPECT_LT(cold.ece(), std::sqrt(double(CalibrationMeter::kBins) / kImages));
    EXPECT_LT(cold.ece(), hot.ece());
  }
}

TEST(FitTemperature, DoesNotDependOnShiftsOfAnImagesLogits) {
  Drawn drawn = draw(500, 4, 5);
  const double own = fit_temperature(drawn.logits, 4, drawn.targets);
  for (size_t i = 0; i < drawn.logits.size(); ++i) drawn.logits[i] += float(i / 4 % 64);
  EXPECT_NEAR(fit_temperature(drawn.logits, 4, drawn.targets), own, 1e-4 * own);
}

TEST(FitTemperature, TwoClassesHaveAFormula) {
  // Of n images with margin m, the share a is right: e^(m / T) = a / (1 - a).
  const std::vector<float> logits{2, 0, 2, 0, 2, 0, 2, 0};
  EXPECT_NEAR(fit_temperature(logits, 2, std::vector<int>{0, 0, 0, 1}), 2 / std::log(3.0), 1e-8);
}

TEST(FitTemperature, SaysWhatCannotBeFitted) {
  EXPECT_EQ(code_of({1, 2}, 1, {0, 0}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({}, 3, {}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({1, 2}, 2, {2}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({1, 2}, 2, {-1}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({1, 2, 3}, 2, {0}), ErrorCode::kMismatch);
  EXPECT_EQ(code_of({1, 2}, 2, {0, 1}), ErrorCode::kMismatch);
  EXPECT_EQ(code_of({1, kNan}, 2, {0}), ErrorCode::kBadFormat);
  EXPECT_EQ(code_of({1, -INFINITY}, 2, {0}), ErrorCode::kBadFormat);
  EXPECT_EQ(code_of({2, 1, 0, 5}, 2, {0, 1}), ErrorCode::kUnsupported);  // all right
  EXPECT_EQ(code_of({2, 1, 0, 5}, 2, {1, 0}), ErrorCode::kUnsupported);  // all wrong
  EXPECT_EQ(code_of({1, 1, 1, 1}, 2, {0, 1}), ErrorCode::kUnsupported);  // no opinion
}

}  // namespace
}  // namespace asmlp::calibration_test
