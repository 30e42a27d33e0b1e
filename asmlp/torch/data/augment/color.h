// Color operations on 8-bit images, equal to the byte to Pillow's ImageOps and ImageEnhance (9.4).
// Every one works in place, on 3 channels (RGB) or 1 (gray).
#pragma once

#include "asmlp/image/image.h"

namespace asmlp::data {

// ImageOps.autocontrast: each channel stretched so that its darkest value becomes 0 and its
// lightest 255; a channel of one value stays.
void autocontrast(Image& image);

// ImageOps.equalize: each channel's histogram made even.
void equalize(Image& image);

// ImageOps.invert: 255 - value.
void invert(Image& image);

// ImageOps.posterize: keeps the `bits` highest bits, 0..8. (8 keeps everything.)
void posterize(Image& image, int bits);

// ImageOps.solarize: inverts the values >= `threshold`, 0..256.
void solarize(Image& image, int threshold);

// Adds `amount` (0..255) to the values below 128, up to 255 (the TensorFlow AutoAugment's, timm's).
void solarize_add(Image& image, int amount);

// The four of ImageEnhance: Image.blend(degenerate, image, factor), which beyond 1 extrapolates and
// clips, in fp32, cut to 8 bits. Degenerate is the luma (color; a gray image stays as it is), the
// mean luma (contrast), black (brightness), the image smoothed by 3 x 3 weights 1 and 5 in the
// middle, borders kept (sharpness). Factor 1 changes nothing; factors are >= 0.
void color(Image& image, double factor);
void contrast(Image& image, double factor);
void brightness(Image& image, double factor);
// `scratch` is a buffer to reuse.
void sharpness(Image& image, double factor, Image& scratch);

}  // namespace asmlp::data
