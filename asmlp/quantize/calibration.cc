#include "asmlp/quantize/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "asmlp/core/error.h"

namespace asmlp {

void InputObserver::watch(const InputReaders& readers) {
  input_of_.clear();
  for (size_t input = 0; input < readers.size(); ++input) {
    for (const PackedMatrix* weight : readers[input]) input_of_[weight] = input;
  }
  locks_ = std::make_unique<std::mutex[]>(readers.size());
}

void InputObserver::observe(const PackedMatrix& weight, const float* a, int64_t lda, int64_t rows,
                            int64_t first, int64_t columns) noexcept {
  const auto found = input_of_.find(&weight);  // the patch embedding and the head are not there
  if (found != input_of_.end()) see(found->second, {a, lda, rows, first, columns});
}

namespace {

class RangeObserver : public InputObserver {
 public:
  explicit RangeObserver(const std::vector<LayerInput>& inputs) : ranges_(inputs.size()) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      ranges_[i].low.assign(static_cast<size_t>(inputs[i].depth), INFINITY);
      ranges_[i].high.assign(static_cast<size_t>(inputs[i].depth), -INFINITY);
    }
  }
  std::vector<ChannelRanges> take() { return std::move(ranges_); }

 private:
  void see(size_t input, const ObservedBlock& block) noexcept override {
    const std::scoped_lock lock(lock_of(input));
    float* low = ranges_[input].low.data() + block.first;
    float* high = ranges_[input].high.data() + block.first;
    for (int64_t r = 0; r < block.rows; ++r) {
      const float* row = block.row(r);
      for (int64_t c = 0; c < block.columns; ++c) {
        // The negations let a NaN in, which is refused later.
        low[c] = !(row[c] >= low[c]) ? row[c] : low[c];
        high[c] = !(row[c] <= high[c]) ? row[c] : high[c];
      }
    }
  }

  std::vector<ChannelRanges> ranges_;
};

class HistogramObserver : public InputObserver {
 public:
  explicit HistogramObserver(std::span<const ValueRange> ranges)
      : histograms_(ranges.begin(), ranges.end()) {}
  std::vector<Histogram> take() { return std::move(histograms_); }

 private:
  void see(size_t input, const ObservedBlock& block) noexcept override {
    Histogram& histogram = histograms_[input];
    std::array<uint32_t, Histogram::kBins> counts{};
    for (int64_t r = 0; r < block.rows; ++r) {
      const float* row = block.row(r);
      for (int64_t c = 0; c < block.columns; ++c) {
        ++counts[static_cast<size_t>(histogram.bin_of(row[c]))];
      }
    }
    const std::scoped_lock lock(lock_of(input));
    histogram.add(counts.data());
  }

  std::vector<Histogram> histograms_;
};

}  // namespace

ValueRange ChannelRanges::all() const {
  ValueRange range;
  for (const float value : low) range.low = std::min(range.low, value);
  for (const float value : high) range.high = std::max(range.high, value);
  return range;
}

std::vector<ChannelRanges> observe_ranges(const QuantizationSubject& subject,
                                          const TensorMap& tensors,
                                          std::span<const int64_t> indices, int threads,
                                          const ImageCounter& progress) {
  const std::vector<LayerInput> layers = subject.inputs();
  RangeObserver observer(layers);
  subject.observe(tensors, indices, threads, observer, progress);
  std::vector<ChannelRanges> ranges = observer.take();
  for (size_t i = 0; i < ranges.size(); ++i) {
    // Where no region has come to a head, its layers are as if they had read zeros.
    const bool unseen = ranges[i].low[0] == INFINITY;
    for (std::vector<float>* ends : {&ranges[i].low, &ranges[i].high}) {
      if (unseen) std::fill(ends->begin(), ends->end(), 0.0f);
      require(std::all_of(ends->begin(), ends->end(), [](float v) { return std::isfinite(v); }),
              ErrorCode::kBadFormat,
              "the input of '{}' is not finite: the model computes no numbers for these images",
              layers[i].layers.front());
    }
  }
  return ranges;
}

std::vector<Histogram> observe_histograms(const QuantizationSubject& subject,
                                          const TensorMap& tensors,
                                          std::span<const int64_t> indices, int threads,
                                          std::span<const ValueRange> ranges,
                                          const ImageCounter& progress) {
  HistogramObserver observer(ranges);
  subject.observe(tensors, indices, threads, observer, progress);
  return observer.take();
}

}  // namespace asmlp
