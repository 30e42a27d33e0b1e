// The color operations of the authors' segmentation code, by OpenCV. (Resizing as OpenCV's:
// image/opencv/cv_resize.h.)
#pragma once

#include "asmlp/image/image.h"

namespace asmlp::data {

// The photometric distortion of a segmentor's training (mmseg's PhotoMetricDistortion), one
// operation after the other, in place on RGB. Values are cut off, not rounded, to 0..255 after
// each. x * alpha + beta of every channel.
void scale_and_shift(Image& rgb, double alpha, double beta);
// By way of OpenCV's 8-bit HSV (hue 0..179): saturation times `saturation`, hue plus `hue` (modulo
// 180, in -180..180).
void scale_saturation(Image& rgb, double saturation);
void shift_hue(Image& rgb, int hue);

}  // namespace asmlp::data
