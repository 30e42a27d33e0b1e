// From the scores and boxes of a box head to the detections of an image.
#pragma once

#include <torch/torch.h>

#include "asmlp/model/detector_config.h"

namespace asmlp::detect {

struct Detections {
  torch::Tensor boxes;   // n x 4
  torch::Tensor scores;  // n, descending
  torch::Tensor labels;  // int64, n: class in [0, K)
};

// `probabilities` R x (K + 1), the background last; `boxes` R x 4K, class-major, in coordinates of
// the original image (decoded, clipped, divided by the scale factor). Every box may be a detection
// of several classes. No gradient.
Detections multiclass_nms(const torch::Tensor& probabilities, const torch::Tensor& boxes,
                          const TestConfig& config);

}  // namespace asmlp::detect
