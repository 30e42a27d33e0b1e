#include "asmlp/metrics/segmentation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

double per_cent(int64_t part, int64_t whole) {
  return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole)
                   : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

double mean_of_numbers(const std::vector<double>& values) {
  double sum = 0;
  int count = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

SegmentationMeter::SegmentationMeter(int classes) {
  require(classes >= 1 && classes <= kIgnoredLabel, ErrorCode::kInvalidArgument,
          "a segmentation of {} classes; 1 to {} are possible", classes, kIgnoredLabel);
  counts_.resize(static_cast<size_t>(classes));
}

void SegmentationMeter::add(std::span<const uint8_t> predicted, std::span<const uint8_t> target) {
  require(predicted.size() == target.size(), ErrorCode::kMismatch,
          "{} predicted labels for {} pixels", predicted.size(), target.size());
  // By label value, all 256 of them: what is no class is then found without a test per pixel.
  std::array<Counts, 256> map{};
  for (size_t i = 0; i < target.size(); ++i) {
    const uint8_t is = target[i], said = predicted[i];
    ++map[is].labeled;
    if (is == kIgnoredLabel) continue;
    ++map[said].predicted;
    map[is].right += is == said;
  }
  for (size_t label = counts_.size(); label < map.size(); ++label) {
    require(map[label].predicted == 0, ErrorCode::kInvalidArgument,
            "{} pixels have the predicted label {}; the classes are 0..{}", map[label].predicted,
            label, classes() - 1);
    require(map[label].labeled == 0 || label == kIgnoredLabel, ErrorCode::kInvalidArgument,
            "{} pixels have the true label {}; the classes are 0..{}, and {} is left out",
            map[label].labeled, label, classes() - 1, kIgnoredLabel);
  }
  for (size_t label = 0; label < counts_.size(); ++label) {
    counts_[label].right += map[label].right;
    counts_[label].predicted += map[label].predicted;
    counts_[label].labeled += map[label].labeled;
  }
}

void SegmentationMeter::merge(const SegmentationMeter& other) {
  require(classes() == other.classes(), ErrorCode::kMismatch,
          "scores of {} classes cannot be merged with those of {}", classes(), other.classes());
  for (size_t label = 0; label < counts_.size(); ++label) {
    counts_[label].right += other.counts_[label].right;
    counts_[label].predicted += other.counts_[label].predicted;
    counts_[label].labeled += other.counts_[label].labeled;
  }
}

void SegmentationMeter::reset() { std::ranges::fill(counts_, Counts{}); }

std::vector<double> SegmentationMeter::sums() const {
  std::vector<double> sums;
  for (const Counts& c : counts_) {
    sums.insert(sums.end(), {double(c.right), double(c.predicted), double(c.labeled)});
  }
  return sums;
}

SegmentationMeter SegmentationMeter::from_sums(std::span<const double> sums) {
  require(sums.size() % 3 == 0 && sums.size() / 3 <= size_t{kIgnoredLabel},
          ErrorCode::kInvalidArgument, "{} sums; a segmentation has three for each class",
          sums.size());
  SegmentationMeter meter(static_cast<int>(sums.size() / 3));
  for (size_t label = 0; label < meter.counts_.size(); ++label) {
    const double* of = sums.data() + 3 * label;
    meter.counts_[label] = {static_cast<int64_t>(of[0]), static_cast<int64_t>(of[1]),
                            static_cast<int64_t>(of[2])};
  }
  return meter;
}

int64_t SegmentationMeter::pixels() const {
  int64_t pixels = 0;
  for (const Counts& c : counts_) pixels += c.labeled;
  return pixels;
}

std::vector<double> SegmentationMeter::iou() const {
  std::vector<double> values;
  for (const Counts& c : counts_) {
    values.push_back(per_cent(c.right, c.predicted + c.labeled - c.right));
  }
  return values;
}

std::vector<double> SegmentationMeter::accuracy() const {
  std::vector<double> values;
  for (const Counts& c : counts_) values.push_back(per_cent(c.right, c.labeled));
  return values;
}

double SegmentationMeter::mean_iou() const { return mean_of_numbers(iou()); }

double SegmentationMeter::mean_accuracy() const { return mean_of_numbers(accuracy()); }

double SegmentationMeter::pixel_accuracy() const {
  int64_t right = 0;
  for (const Counts& c : counts_) right += c.right;
  return per_cent(right, pixels());
}

}  // namespace asmlp
