// Pillow's resampling of 8-bit images, equal to the byte.
#pragma once

#include "asmlp/image/image.h"
#include "asmlp/model/spec.h"

namespace asmlp {

// Image.resize((width, height), ...): antialiased, horizontal pass first, 22-bit fixed-point weights,
// rounded to 8 bits between the passes. height, width >= 1.
Image resize(const Image& image, int height, int width, Interpolation interpolation);

// torchvision Resize(size): the short side becomes `size`, the long one int(size * long / short).
Image resize_short_side(const Image& image, int size, Interpolation interpolation);

// torchvision CenterCrop(size): zero-pads an image smaller than the crop, rounds half to even.
Image center_crop(const Image& image, int height, int width);

}  // namespace asmlp
