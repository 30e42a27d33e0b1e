// From the mask of a box to the mask of an image.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/metrics/mask_rle.h"
#include "asmlp/torch/detect/ops/boxes.h"

namespace asmlp::detect {

// `probabilities` P x h x w, `boxes` P x 4 in pixels of an image of size `image` (at most
// kMaxMaskSide): P masks of that size, where the probabilities, stretched over their box, are >=
// threshold. A pixel is taken at its center: u = (x + 0.5 - x1) / (x2 - x1) is the place in the
// mask (0 and 1 its edges; 0.5 where the quotient is not finite), interpolated bilinearly between
// the centers of mask cells, with zeros around the mask. Only pixels within the box and one pixel
// around it are looked at, further out a mask of probabilities is below 1/2: the memory is that of
// the boxes, one per thread at a time, however large the image. On the CPU.
std::vector<MaskRle> paste_masks(const torch::Tensor& probabilities, const torch::Tensor& boxes,
                                 ImageSize image, double threshold = 0.5);

}  // namespace asmlp::detect
