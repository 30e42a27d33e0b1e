// Whether a classifier's probabilities mean what they say: calibration error and temperature, as in
// Guo et al., "On Calibration of Modern Neural Networks", 2017 (arXiv 1706.04599).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace asmlp {

// Running meter of top-1 confidences, the probabilities of the predicted classes: add one sample at
// a time, merge meters of parallel workers. Values of an empty meter are 0.
class CalibrationMeter {
 public:
  // Of equal width; bin m of 1..15 holds the confidences in ((m - 1) / 15, m / 15].
  static constexpr int kBins = 15;
  // The confidence in [0, 1], and whether the prediction was right. A NaN, which a broken model
  // gives, makes ece() and confidence() NaN. Error(kInvalidArgument) outside of the range.
  void add(double confidence, bool correct);
  // logits of one image and its true class in [0, logits.size()); equal logits rank as in top_k.
  void add(std::span<const float> logits, int target);
  void merge(const CalibrationMeter& other);
  int64_t count() const { return count_; }
  double confidence() const;  // mean, 0..1
  // Expected calibration error, 0..1: the distance of each bin's share of right predictions from
  // its mean confidence, weighted by the bin's samples.
  double ece() const;

 private:
  struct Bin {
    double confidences = 0;  // sum
    int64_t correct = 0;
  };
  int64_t count_ = 0;
  double not_numbers_ = 0;  // NaN once one was added
  std::array<Bin, kBins> bins_{};
};

// The temperatures that fit_temperature can give.
inline constexpr double kLeastTemperature = 1e-4, kGreatestTemperature = 1e4;

// The T that minimizes the mean cross entropy of logits / T, to about 9 digits. `logits` are those
// of targets.size() images, `classes` each; targets are in [0, classes). The predicted classes do
// not depend on T. Errors: kInvalidArgument for fewer than 2 classes, no image, a target out of
// range; kMismatch for another number of logits; kBadFormat for a logit that is not finite;
// kUnsupported where the best T is out of range: 0 when every image is right (nothing tells how
// sure is too sure), infinite when the logits know no more of the true classes than chance.
double fit_temperature(std::span<const float> logits, int classes, std::span<const int> targets);

// logits / temperature, rounded once; the temperature is > 0.
std::vector<float> with_temperature(std::span<const float> logits, double temperature);

}  // namespace asmlp
