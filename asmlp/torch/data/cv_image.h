// The image operations of the authors' detection and segmentation code, which are OpenCV's.
#pragma once

#include <cstdint>

#include "asmlp/image/image.h"

namespace asmlp::data {

// Height and width of an image whose ratio is kept, scaled by
//   f = min(long_side / max(height, width), short_side / min(height, width)),
// each side floor(side * f + 0.5), at least 1 (mmcv's imrescale with a scale (long, short)).
struct CvSize {
  int height = 0;
  int width = 0;
  bool operator==(const CvSize&) const = default;
};
CvSize fitted_size(int height, int width, double short_side, double long_side);

// cv2.resize of an 8-bit image of 1 or 3 channels: bilinear in fixed point, rounded to 8 bits (the
// size of the image itself gives a copy).
Image resize_bilinear(const Image& image, CvSize size);
// cv2.resize with INTER_NEAREST: pixel x is that of floor(x * width / new width).
Image resize_nearest(const Image& image, CvSize size);

// Mirrored left to right.
Image flip_horizontal(const Image& image);
// The window of `size` whose first pixel is (top, left); it must lie inside of the image.
Image crop(const Image& image, int top, int left, CvSize size);

// The photometric distortion of a segmentor's training (mmseg's PhotoMetricDistortion), one
// operation after the other, in place on RGB. Values are cut off, not rounded, to 0..255 after
// each. x * alpha + beta of every channel.
void scale_and_shift(Image& rgb, double alpha, double beta);
// By way of OpenCV's 8-bit HSV (hue 0..179): saturation times `saturation`, hue plus `hue` (modulo
// 180, in -180..180).
void scale_saturation(Image& rgb, double saturation);
void shift_hue(Image& rgb, int hue);

}  // namespace asmlp::data
