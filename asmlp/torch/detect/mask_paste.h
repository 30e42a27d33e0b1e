// From the mask of a box to the mask of an image.
#pragma once

#include <torch/torch.h>

#include "asmlp/torch/detect/boxes.h"

namespace asmlp::detect {

// `probabilities` P x h x w, `boxes` P x 4 in pixels of an image of size `image`: bool,
// P x height x width, where the mask, stretched over its box, is >= threshold. A pixel is taken at
// its centre: u = (x + 0.5 - x1) / (x2 - x1) is the place in the mask (0 and 1 its edges; 0.5 where
// the quotient is not finite), interpolated bilinearly between the centres of mask cells, with
// zeros around the mask. Only pixels
// within the box and one pixel around it are looked at: further out a mask of probabilities is
// below 1/2. On the CPU, result on the device of `boxes`.
torch::Tensor paste_masks(const torch::Tensor& probabilities, const torch::Tensor& boxes,
                          ImageSize image, double threshold = 0.5);

}  // namespace asmlp::detect
