// Affine warps of 8-bit images, equal to the byte to Pillow's Image.transform(size, AFFINE) (9.4).
#pragma once

#include <array>

#include "asmlp/image/image.h"
#include "asmlp/model/spec.h"

namespace asmlp::data {

// Output pixel (x, y) shows the input at (m[0] x' + m[1] y' + m[2], m[3] x' + m[4] y' + m[5]),
// where x' = x + 0.5 and y' = y + 0.5 are centers of pixels.
using AffineMatrix = std::array<double, 6>;

// The matrix with which Image.rotate(degrees) turns an image about its center, counter-clockwise.
// (For multiples of 90 Pillow transposes instead; 0 is the identity here, too.)
AffineMatrix rotation(double degrees, int height, int width);

// `out` becomes the warped image, of the same size. What lies outside the input is `fill` (one
// value per channel). Samples are interpolated in double, the bicubic with Pillow's a = -1, beyond
// the border from the nearest pixel, and cut to 8 bits.
void affine(const Image& image, const AffineMatrix& matrix, Interpolation interpolation,
            const std::array<uint8_t, 3>& fill, Image& out);

}  // namespace asmlp::data
