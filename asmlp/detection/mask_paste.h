// From the mask of a box to the mask of an image.
#pragma once

#include <cstdint>
#include <vector>

#include "asmlp/detection/box.h"
#include "asmlp/metrics/mask_rle.h"

namespace asmlp::detect {

// Scratch memory of paste_mask: beyond its result it allocates nothing for images as large as what
// was reserved.
struct PasteMemory {
  // One pixel along one axis: the two mask cells it lies between, and their weights; 0 for a cell
  // outside.
  struct Place {
    int32_t low, high;
    float low_weight, high_weight;
  };
  // Rows of pixels between the same two rows of cells.
  struct Stretch {
    size_t begin, end;
    int32_t low, high;
    int kind;
  };
  std::vector<Place> x, y;
  std::vector<Stretch> stretches;
  void reserve(ImageSize image, int cells);
};

// The mask of size `image` (sides of 1 to kMaxMaskSide) where `probabilities`, h x w of 0..1,
// stretched over `box` (in pixels of the image), are >= threshold. A pixel is taken at its center:
// u = (x + 0.5 - x1) / (x2 - x1) is the place in the mask (0 and 1 its edges; 0.5 where the
// quotient is not finite), interpolated bilinearly between the centers of mask cells, with zeros
// around the mask. Only pixels within the box and one pixel around it are looked at, further out a
// mask of probabilities is below 1/2. NaN is below every threshold. Error(kInvalidArgument) when a
// side or the threshold is out of range or the box is not finite.
MaskRle paste_mask(const float* probabilities, int h, int w, const Box& box, ImageSize image,
                   float threshold, PasteMemory& memory);

}  // namespace asmlp::detect
