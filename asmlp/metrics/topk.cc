#include "asmlp/metrics/topk.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

// The order of predictions: larger first, equal values by smaller index, NaN last. A strict weak
// order even with NaN, which std::partial_sort needs.
bool precedes(std::span<const float> values, int a, int b) {
  const bool a_nan = std::isnan(values[a]), b_nan = std::isnan(values[b]);
  if (a_nan != b_nan) return b_nan;
  if (!a_nan && values[a] != values[b]) return values[a] > values[b];
  return a < b;
}

double largest(std::span<const float> values) {
  return *std::max_element(values.begin(), values.end());
}

double sum_of_exponentials(std::span<const float> values, double shift) {
  double sum = 0;
  for (const float value : values) sum += std::exp(value - shift);
  return sum;
}

double per_cent_of(int64_t part, int64_t whole) {
  return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

}  // namespace

std::vector<int> top_k(std::span<const float> values, int k) {
  std::vector<int> indices(values.size());
  std::iota(indices.begin(), indices.end(), 0);
  const auto count = std::clamp<int64_t>(k, 0, static_cast<int64_t>(values.size()));
  std::partial_sort(indices.begin(), indices.begin() + count, indices.end(),
                    [&](int a, int b) { return precedes(values, a, b); });
  indices.resize(static_cast<size_t>(count));
  return indices;
}

std::vector<float> softmax(std::span<const float> logits) {
  std::vector<float> result(logits.size());
  if (logits.empty()) return result;
  const double shift = largest(logits);
  const double sum = sum_of_exponentials(logits, shift);
  for (size_t i = 0; i < logits.size(); ++i) {
    result[i] = static_cast<float>(std::exp(logits[i] - shift) / sum);
  }
  return result;
}

void TopKMeter::add(std::span<const float> logits, int target) {
  require(target >= 0 && static_cast<size_t>(target) < logits.size(), ErrorCode::kInvalidArgument,
          "class {} is outside the {} classes of the model", target, logits.size());
  int rank = 0;  // classes predicted before the true one
  for (int i = 0; i < static_cast<int>(logits.size()); ++i) rank += precedes(logits, i, target);
  // A model that gives NaN has not predicted anything.
  const bool predicted = !std::isnan(logits[target]);
  ++count_;
  correct1_ += predicted && rank < 1;
  correct5_ += predicted && rank < 5;
  const double shift = largest(logits);
  loss_sum_ += std::log(sum_of_exponentials(logits, shift)) + shift - logits[target];
}

void TopKMeter::merge(const TopKMeter& other) {
  count_ += other.count_;
  correct1_ += other.correct1_;
  correct5_ += other.correct5_;
  loss_sum_ += other.loss_sum_;
}

std::array<double, 4> TopKMeter::sums() const {
  return {double(count_), double(correct1_), double(correct5_), loss_sum_};
}

TopKMeter TopKMeter::from_sums(const std::array<double, 4>& sums) {
  TopKMeter meter;
  meter.count_ = static_cast<int64_t>(sums[0]);
  meter.correct1_ = static_cast<int64_t>(sums[1]);
  meter.correct5_ = static_cast<int64_t>(sums[2]);
  meter.loss_sum_ = sums[3];
  return meter;
}

double TopKMeter::top1() const { return per_cent_of(correct1_, count_); }

double TopKMeter::top5() const { return per_cent_of(correct5_, count_); }

double TopKMeter::loss() const { return count_ > 0 ? loss_sum_ / static_cast<double>(count_) : 0; }

ConfusionMatrix::ConfusionMatrix(int classes) : classes_(classes) {
  require(classes >= 1 && classes <= 32768, ErrorCode::kInvalidArgument,
          "a confusion matrix of {} classes; 1 to 32768 are possible", classes);
  counts_.resize(static_cast<size_t>(classes) * classes);
}

void ConfusionMatrix::add(int target, int predicted) {
  require(target >= 0 && target < classes_ && predicted >= 0 && predicted < classes_,
          ErrorCode::kInvalidArgument, "true class {} or predicted class {} is outside 0..{}",
          target, predicted, classes_ - 1);
  ++counts_[static_cast<size_t>(target) * classes_ + predicted];
}

void ConfusionMatrix::add(std::span<const uint8_t> targets, std::span<const uint8_t> predicted) {
  require(targets.size() == predicted.size(), ErrorCode::kMismatch,
          "{} true labels and {} predicted ones", targets.size(), predicted.size());
  for (size_t i = 0; i < targets.size(); ++i) {
    if (targets[i] < classes_) add(int{targets[i]}, int{predicted[i]});
  }
}

ConfusionMatrix ConfusionMatrix::from_sums(std::span<const double> sums) {
  ConfusionMatrix matrix(static_cast<int>(std::lround(std::sqrt(double(sums.size())))));
  require(matrix.counts_.size() == sums.size(), ErrorCode::kInvalidArgument,
          "{} counts are those of no confusion matrix", sums.size());
  std::ranges::transform(sums, matrix.counts_.begin(),
                         [](double count) { return static_cast<int64_t>(count); });
  return matrix;
}

int64_t ConfusionMatrix::at(int target, int predicted) const {
  require(target >= 0 && target < classes_ && predicted >= 0 && predicted < classes_,
          ErrorCode::kInvalidArgument, "true class {} or predicted class {} is outside 0..{}",
          target, predicted, classes_ - 1);
  return counts_[static_cast<size_t>(target) * classes_ + predicted];
}

}  // namespace asmlp
