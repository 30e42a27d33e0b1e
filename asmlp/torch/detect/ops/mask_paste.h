// detection/mask_paste.h on tensors.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/detection/mask_paste.h"
#include "asmlp/torch/detect/ops/boxes.h"

namespace asmlp::detect {

// `probabilities` P x h x w, `boxes` P x 4 in pixels of an image of size `image` (at most
// kMaxMaskSide): P masks of that size. On the CPU.
std::vector<MaskRle> paste_masks(const torch::Tensor& probabilities, const torch::Tensor& boxes,
                                 ImageSize image, double threshold = 0.5);

}  // namespace asmlp::detect
