// Segmentation scores over a data set: mean intersection over union, class and pixel accuracy.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace asmlp {

// The label of pixels that count nowhere.
inline constexpr int kIgnoredLabel = 255;

// Running meter: add one label map at a time, merge meters of parallel workers; the memory is three
// counts per class. Scores are of all pixels together, as mmsegmentation computes them: with I, P
// and L the pixels of a class that are right, predicted and labeled, over the whole data set,
// pixels labeled 255 left out of all three, its IoU is I / (P + L - I). All scores are percent,
// 0..100.
class SegmentationMeter {
 public:
  // Classes 0..classes-1; 1..255 of them, else Error(kInvalidArgument).
  explicit SegmentationMeter(int classes);

  // The predicted and the true label of every pixel, in the same order. Error(kMismatch) for
  // different lengths, Error(kInvalidArgument) for a true label that is neither a class nor 255, or
  // a predicted one at a counted pixel that is no class; the meter is then as before.
  void add(std::span<const uint8_t> predicted, std::span<const uint8_t> target);
  // Error(kMismatch) unless both have the same number of classes.
  void merge(const SegmentationMeter& other);
  void reset();

  // What processes add up elementwise, to make the meter of all: I, P and L of class 0, of class 1
  // and so on (exact up to 2^53).
  std::vector<double> sums() const;
  // Error(kInvalidArgument) when the length is no multiple of three, or of no possible meter.
  static SegmentationMeter from_sums(std::span<const double> sums);

  int classes() const { return static_cast<int>(counts_.size()); }
  int64_t pixels() const;  // counted so far

  // Per class; NaN for a class that is neither predicted nor labeled anywhere (iou), or not
  // labeled (accuracy: I / L).
  std::vector<double> iou() const;
  std::vector<double> accuracy() const;
  // Means over the classes that are not NaN, and the share of pixels that are right; NaN when
  // nothing was counted.
  double mean_iou() const;
  double mean_accuracy() const;
  double pixel_accuracy() const;

 private:
  struct Counts {
    int64_t right = 0, predicted = 0, labeled = 0;
  };
  std::vector<Counts> counts_;
};

// The mean of the values that are not NaN; NaN when there are none.
double mean_of_numbers(const std::vector<double>& values);

}  // namespace asmlp
