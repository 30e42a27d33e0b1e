// OpenCV's resizing of 8-bit images, equal to the byte, without OpenCV: what the authors' detectors
// and segmentors do to an image before the network sees it.
#pragma once

#include <vector>

#include "asmlp/image/image.h"

namespace asmlp {

struct CvSize {
  int height = 0;
  int width = 0;
  bool operator==(const CvSize&) const = default;
};

// Height and width of an image whose ratio is kept, scaled by
//   f = min(long_side / max(height, width), short_side / min(height, width)),
// each side floor(side * f + 0.5), at least 1 (mmcv's imrescale with a scale (long, short)).
// Error(kInvalidArgument) unless height and width are above 0.
CvSize fitted_size(int height, int width, double short_side, double long_side);

// cv2.resize of an image of 1 or 3 channels: bilinear in fixed point (11 bits of weight, rounded to
// 8 bits), without smoothing; half of both sides is the mean of 2 x 2 pixels, as it is OpenCV's;
// the size of the image itself gives a copy. The bytes are those of OpenCV's own code, 4.6
// (docs/design/decisions/0016-opencv-resizing.md).
// Error(kInvalidArgument) when a side is 0.
Image resize_bilinear(const Image& image, CvSize size);

// cv2.resize with INTER_NEAREST. Errors as above.
Image resize_nearest(const Image& image, CvSize size);
// Which of `side` pixels in a row it takes for each of `new_side` (both above 0):
// floor(x * side / new_side), rounded as OpenCV does where x * side / new_side is an integer: the
// factor of x is the reciprocal of a quotient.
std::vector<int> nearest_pixels(int side, int new_side);

// Mirrored left to right.
Image flip_horizontal(const Image& image);
// Mirrored top to bottom.
Image flip_vertical(const Image& image);

}  // namespace asmlp
