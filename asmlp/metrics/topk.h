// Top-k classification accuracy and mean cross entropy.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace asmlp {

// Indices of the k largest values, largest first; equal values by smaller index. k is cut to size.
std::vector<int> top_k(std::span<const float> values, int k);

// exp(x - max) / sum, in double, rounded once.
std::vector<float> softmax(std::span<const float> logits);

// Running meter: add one sample at a time, merge meters of parallel workers. Values of an empty
// meter are 0.
class TopKMeter {
 public:
  // logits of one image and its true class in [0, logits.size()).
  void add(std::span<const float> logits, int target);
  void merge(const TopKMeter& other);
  void reset() { *this = TopKMeter(); }
  // What processes add up elementwise, to make the meter of all: samples, correct in the first
  // place and among five (exact up to 2^53), sum of the losses.
  std::array<double, 4> sums() const;
  static TopKMeter from_sums(const std::array<double, 4>& sums);
  int64_t count() const { return count_; }
  double top1() const;  // percent, 0..100
  double top5() const;  // percent; with fewer than 5 classes all of them count
  double loss() const;  // mean cross entropy in nats

 private:
  int64_t count_ = 0;
  int64_t correct1_ = 0;
  int64_t correct5_ = 0;
  double loss_sum_ = 0;
};

// Confusion counts: row = true class, column = predicted class.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int classes);
  void add(int target, int predicted);
  // The pixels of a label map, in the same order. Targets that are no class (255, for one) are left
  // out. Error(kInvalidArgument) for a predicted label that is none at another pixel,
  // kMismatch for different lengths.
  void add(std::span<const uint8_t> targets, std::span<const uint8_t> predicted);
  // What processes add up elementwise, to make the matrix of all: row after row (exact up to 2^53).
  std::vector<double> sums() const { return {counts_.begin(), counts_.end()}; }
  // Error(kInvalidArgument) when the length is no square of a number of classes.
  static ConfusionMatrix from_sums(std::span<const double> sums);
  int64_t at(int target, int predicted) const;
  int classes() const { return classes_; }

 private:
  int classes_;
  std::vector<int64_t> counts_;
};

}  // namespace asmlp
