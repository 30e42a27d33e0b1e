// What the layers of a model read while it looks at images.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "asmlp/engine/engine.h"
#include "asmlp/quantize/histogram.h"
#include "asmlp/weights/checkpoint.h"

namespace asmlp {

// Images as the network takes them, of one size, as often as they are wanted.
struct NetworkInputs {
  int height = 0;
  int width = 0;
  // Writes image `index`, in_chans x height x width, normalized. Called by one thread at a time.
  std::function<void(int64_t index, std::span<float> out)> read;
};

// Runs images through `engine` in batches; after each, consume(images of the batch). `progress`
// (may be empty) is told of every image. The engine's size is that of the inputs.
using ImageCounter = std::function<void(int images)>;
void run_images(Engine& engine, const NetworkInputs& inputs, std::span<const int64_t> indices,
                const std::function<void(int images)>& consume, const ImageCounter& progress = {});

// Images of a batch: what a cache holds of the weights serves all of them.
inline constexpr int kCalibrationBatch = 8;

// The least and the greatest value in each column of a layer's input. Both are finite.
struct ChannelRanges {
  std::vector<float> low, high;
  ValueRange all() const;  // of all columns, with 0
};

// Of every input of layer_inputs, from the images of `indices` (at least one), computed in fp32.
// `threads` as ThreadPool has it; the results do not depend on it. Error(kBadFormat) when a layer
// reads a value that is not finite.
std::vector<ChannelRanges> observe_ranges(const Checkpoint& checkpoint, const NetworkInputs& inputs,
                                          std::span<const int64_t> indices, int threads,
                                          const ImageCounter& progress = {});

// The histograms of the same inputs over `ranges`, one each.
std::vector<Histogram> observe_histograms(const Checkpoint& checkpoint, const NetworkInputs& inputs,
                                          std::span<const int64_t> indices, int threads,
                                          std::span<const ValueRange> ranges,
                                          const ImageCounter& progress = {});

}  // namespace asmlp
