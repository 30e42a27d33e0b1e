// From images to the input of detectors and segmentors, as LibTorch's tensors.
#pragma once

#include "asmlp/image/opencv/dense_input.h"
#include "asmlp/torch/data/sample.h"

namespace asmlp::data {

// channels x height x width, fp32: normalize_into of image/opencv/dense_input.h, padded to
// multiples of input.pad_multiple. Error(kMismatch) when the image has other channels.
torch::Tensor normalized(const Image& rgb, const DenseInput& input);

// The image as a test sees it: resized with its ratio kept to input.short_side, input.long_side,
// normalized, padded. `info` has the sizes. Error(kInvalidArgument) for an image without pixels.
TensorSample test_sample(const Image& rgb, const DenseInput& input);

}  // namespace asmlp::data
