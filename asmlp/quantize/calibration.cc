#include "asmlp/quantize/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>

#include "asmlp/core/error.h"
#include "asmlp/engine/observer.h"
#include "asmlp/quantize/layer_inputs.h"

namespace asmlp {
namespace {

// Calls see(input, block) for every block of what the weights of one model read.
struct ObservedBlock {
  const float* a;
  int64_t lda, rows, first, columns;
  const float* row(int64_t r) const { return a + r * lda; }
};

class InputObserver : public ProductObserver {
 public:
  explicit InputObserver(const PackedModel& model)
      : readers_(input_readers(model.config(), model.weights())) {
    for (size_t input = 0; input < readers_.size(); ++input) {
      for (const PackedMatrix* weight : readers_[input]) input_of_[weight] = input;
    }
    locks_ = std::make_unique<std::mutex[]>(readers_.size());
  }

  void observe(const PackedMatrix& weight, const float* a, int64_t lda, int64_t rows, int64_t first,
               int64_t columns) noexcept override {
    const auto found = input_of_.find(&weight);  // the patch embedding and the head are not there
    if (found != input_of_.end()) see(found->second, {a, lda, rows, first, columns});
  }

 protected:
  virtual void see(size_t input, const ObservedBlock& block) noexcept = 0;
  std::mutex& lock_of(size_t input) { return locks_[input]; }

 private:
  std::vector<std::vector<const PackedMatrix*>> readers_;
  std::map<const PackedMatrix*, size_t> input_of_;
  std::unique_ptr<std::mutex[]> locks_;
};

class RangeObserver : public InputObserver {
 public:
  RangeObserver(const PackedModel& model, const std::vector<LayerInput>& inputs)
      : InputObserver(model), ranges_(inputs.size()) {
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
  HistogramObserver(const PackedModel& model, std::span<const ValueRange> ranges)
      : InputObserver(model), histograms_(ranges.begin(), ranges.end()) {}
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

// Shows `observer` what the images lead to. Observer is made of a PackedModel and `more`.
template <typename Observer, typename More>
auto observe_with(const Checkpoint& checkpoint, const NetworkInputs& inputs,
                  std::span<const int64_t> indices, int threads, const More& more,
                  const ImageCounter& progress) {
  const auto model = PackedModel::create(checkpoint.spec, checkpoint.tensors);
  Observer observer(*model, more);
  Engine engine(model, {.height = inputs.height,
                        .width = inputs.width,
                        .max_batch = kCalibrationBatch,
                        .threads = threads});
  engine.observe(&observer);
  run_images(
      engine, inputs, indices, [](int) {}, progress);
  return observer.take();
}

}  // namespace

void run_images(Engine& engine, const NetworkInputs& inputs, std::span<const int64_t> indices,
                const std::function<void(int images)>& consume, const ImageCounter& progress) {
  const size_t size = static_cast<size_t>(engine.model().config().in_chans) *
                      static_cast<size_t>(inputs.height) * static_cast<size_t>(inputs.width);
  std::vector<float> batch(size * static_cast<size_t>(engine.max_batch()));
  while (!indices.empty()) {
    const size_t count = std::min(indices.size(), static_cast<size_t>(engine.max_batch()));
    for (size_t i = 0; i < count; ++i) {
      inputs.read(indices[i], std::span(batch).subspan(i * size, size));
    }
    engine.run(std::span(batch).first(count * size), static_cast<int>(count));
    consume(static_cast<int>(count));
    if (progress) progress(static_cast<int>(count));
    indices = indices.subspan(count);
  }
}

ValueRange ChannelRanges::all() const {
  ValueRange range;
  for (const float value : low) range.low = std::min(range.low, value);
  for (const float value : high) range.high = std::max(range.high, value);
  return range;
}

std::vector<ChannelRanges> observe_ranges(const Checkpoint& checkpoint, const NetworkInputs& inputs,
                                          std::span<const int64_t> indices, int threads,
                                          const ImageCounter& progress) {
  const std::vector<LayerInput> layers = layer_inputs(checkpoint.spec.config);
  std::vector<ChannelRanges> ranges =
      observe_with<RangeObserver>(checkpoint, inputs, indices, threads, layers, progress);
  for (size_t i = 0; i < ranges.size(); ++i) {
    for (const std::vector<float>* ends : {&ranges[i].low, &ranges[i].high}) {
      require(std::all_of(ends->begin(), ends->end(), [](float v) { return std::isfinite(v); }),
              ErrorCode::kBadFormat,
              "the input of '{}' is not finite: the model computes no numbers for these images",
              layers[i].layers.front());
    }
  }
  return ranges;
}

std::vector<Histogram> observe_histograms(const Checkpoint& checkpoint, const NetworkInputs& inputs,
                                          std::span<const int64_t> indices, int threads,
                                          std::span<const ValueRange> ranges,
                                          const ImageCounter& progress) {
  return observe_with<HistogramObserver>(checkpoint, inputs, indices, threads, ranges, progress);
}

}  // namespace asmlp
