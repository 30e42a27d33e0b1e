#include "asmlp/metrics/calibration.h"

#include <algorithm>
#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/metrics/topk.h"

namespace asmlp {
namespace {

// Logits and true classes of some images.
struct Scored {
  std::span<const float> logits;
  size_t classes;
  std::span<const int> targets;

  std::span<const float> row(size_t i) const { return logits.subspan(i * classes, classes); }
};

// Derivatives of the mean cross entropy of b * logits by b, which is 1 / T. The function is convex:
// the first is E[z] - z_target under the softmax of b * z, the second the variance of z.
struct Slope {
  double first = 0, second = 0;
};

Slope slope_at(const Scored& data, double b) {
  Slope sum;
  for (size_t i = 0; i < data.targets.size(); ++i) {
    const auto row = data.row(i);
    const double top = *std::ranges::max_element(row);
    double weights = 0, mean = 0, square = 0;
    for (const float value : row) {
      const double below = value - top;  // <= 0: exp cannot overflow
      const double weight = std::exp(b * below);
      weights += weight;
      mean += weight * below;
      square += weight * below * below;
    }
    mean /= weights;
    sum.first += mean - (row[static_cast<size_t>(data.targets[i])] - top);
    sum.second += std::max(square / weights - mean * mean, 0.0);
  }
  const auto count = static_cast<double>(data.targets.size());
  return {sum.first / count, sum.second / count};
}

void check_scored(std::span<const float> logits, int classes, std::span<const int> targets) {
  require(classes >= 2, ErrorCode::kInvalidArgument,
          "a model of {} class{} is always sure; a temperature needs 2 classes or more", classes,
          classes == 1 ? "" : "es");
  require(!targets.empty(), ErrorCode::kInvalidArgument,
          "a temperature is fitted to images with known classes, and there are none");
  const auto width = static_cast<size_t>(classes);
  require(logits.size() % width == 0 && logits.size() / width == targets.size(),
          ErrorCode::kMismatch, "{} images of {} classes do not have {} logits", targets.size(),
          classes, logits.size());
  for (const int target : targets) {
    require(target >= 0 && target < classes, ErrorCode::kInvalidArgument,
            "class {} is outside the {} classes of the model", target, classes);
  }
  for (size_t i = 0; i < logits.size(); ++i) {
    require(std::isfinite(logits[i]), ErrorCode::kBadFormat,
            "the logit of class {} of image {} is {}; a temperature needs finite ones: look at the "
            "model's weights",
            i % width, i / width, logits[i]);
  }
}

}  // namespace

void CalibrationMeter::add(double confidence, bool correct) {
  require(std::isnan(confidence) || (confidence >= 0 && confidence <= 1),
          ErrorCode::kInvalidArgument, "a confidence of {}; it must be in 0..1", confidence);
  ++count_;
  if (std::isnan(confidence)) {
    not_numbers_ = confidence;
    return;
  }
  const int bin = std::clamp(static_cast<int>(std::ceil(confidence * kBins)) - 1, 0, kBins - 1);
  bins_[static_cast<size_t>(bin)].confidences += confidence;
  bins_[static_cast<size_t>(bin)].correct += correct;
}

void CalibrationMeter::add(std::span<const float> logits, int target) {
  require(target >= 0 && static_cast<size_t>(target) < logits.size(), ErrorCode::kInvalidArgument,
          "class {} is outside the {} classes of the model", target, logits.size());
  const int predicted = top_k(logits, 1).front();
  const double top = logits[static_cast<size_t>(predicted)];
  double sum = 0;
  for (const float value : logits) sum += std::exp(value - top);
  add(1 / sum, predicted == target);
}

void CalibrationMeter::merge(const CalibrationMeter& other) {
  count_ += other.count_;
  not_numbers_ += other.not_numbers_;
  for (size_t m = 0; m < bins_.size(); ++m) {
    bins_[m].confidences += other.bins_[m].confidences;
    bins_[m].correct += other.bins_[m].correct;
  }
}

double CalibrationMeter::confidence() const {
  if (count_ == 0) return 0;
  double sum = not_numbers_;
  for (const Bin& bin : bins_) sum += bin.confidences;
  return sum / static_cast<double>(count_);
}

double CalibrationMeter::ece() const {
  if (count_ == 0) return 0;
  // A bin of n samples adds n / count * |correct / n - confidences / n|.
  double sum = not_numbers_;
  for (const Bin& bin : bins_) sum += std::abs(static_cast<double>(bin.correct) - bin.confidences);
  return sum / static_cast<double>(count_);
}

double fit_temperature(std::span<const float> logits, int classes, std::span<const int> targets) {
  check_scored(logits, classes, targets);
  const Scored data{logits, static_cast<size_t>(classes), targets};
  // The minimum is where the slope, which ascends, is 0: between two b that enclose it.
  double low = 1 / kGreatestTemperature, high = 1 / kLeastTemperature;
  require(slope_at(data, low).first < 0, ErrorCode::kUnsupported,
          "on these {} images the model knows no more than chance: no temperature makes its "
          "probabilities true. Look at the classes and the preprocessing, or take other images",
          targets.size());
  require(slope_at(data, high).first > 0, ErrorCode::kUnsupported,
          "the model is right on all {} images: nothing tells how sure is too sure. Take more "
          "images, and none that it was trained on",
          targets.size());
  // Newton's steps where they stay inside and at least halve the slope's distance from 0, else the
  // middle of the exponents: b may be anywhere in 8 orders of magnitude.
  double b = 1, previous = INFINITY;
  for (int step = 0; step < 200 && high - low > 1e-12 * high; ++step) {
    const Slope slope = slope_at(data, b);
    if (slope.first == 0) break;
    (slope.first < 0 ? low : high) = b;
    const double newton = b - slope.first / slope.second;
    const bool trusted = newton > low && newton < high && std::abs(slope.first) <= 0.5 * previous;
    previous = std::abs(slope.first);
    const double next = trusted ? newton : std::sqrt(low * high);
    const bool still = std::abs(next - b) <= 1e-11 * b;
    b = next;
    if (still) break;
  }
  return 1 / b;
}

std::vector<float> with_temperature(std::span<const float> logits, double temperature) {
  std::vector<float> result(logits.size());
  std::ranges::transform(logits, result.begin(),
                         [&](float value) { return static_cast<float>(value / temperature); });
  return result;
}

}  // namespace asmlp
