// From images to the input of detectors and segmentors (nn/dense_spec.h).
#pragma once

#include "asmlp/model/dense_spec.h"
#include "asmlp/torch/data/cv_image.h"
#include "asmlp/torch/data/sample.h"

namespace asmlp::data {

// channels x height x width, fp32: (value - mean) * (1 / std) per channel of an RGB image (rounded
// as mmcv's imnormalize does), then zeros to the right and below up to multiples of
// input.pad_multiple.
torch::Tensor normalized(const Image& rgb, const DenseInput& input);

// The image as a test sees it: resized with its ratio kept to input.short_side, input.long_side,
// normalized, padded. `info` has the sizes. Error(kInvalidArgument) for an image without pixels.
TensorSample test_sample(const Image& rgb, const DenseInput& input);

}  // namespace asmlp::data
