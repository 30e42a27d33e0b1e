// How far a model's outputs are from those of another with the same architecture.
#pragma once

#include <span>
#include <vector>

#include "asmlp/quantize/calibration.h"

namespace asmlp {

// The logits of the images, or, for a model without classes, their pooled features: images x
// classes or channels. `threads` as ThreadPool has it.
std::vector<float> outputs_of(const Checkpoint& checkpoint, const NetworkInputs& inputs,
                              std::span<const int64_t> indices, int threads,
                              const ImageCounter& progress = {});

struct OutputDifference {
  // Root of the sum of squared differences over the root of the sum of squares of the reference.
  // Of logits, each image's mean is taken away first: a softmax does not see it.
  double error = 0;
  double agreement = 1;  // share of images with the same first class; 1 without classes
};

// Of two results of outputs_of, of at least one image. An error of numbers that are not finite is
// infinite.
OutputDifference difference(std::span<const float> reference, std::span<const float> outputs,
                            const Config& config);

}  // namespace asmlp
