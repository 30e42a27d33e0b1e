// Pillow's resampling of 8-bit images, equal to the byte.
#pragma once

#include <utility>

#include "asmlp/image/image.h"
#include "asmlp/model/spec.h"

namespace asmlp {

// A rectangle of pixels.
struct Window {
  int top = 0;
  int left = 0;
  int height = 0;
  int width = 0;
};

// A rectangle that need not begin and end with pixels.
struct Box {
  double top = 0;
  double left = 0;
  double height = 0;
  double width = 0;
};

// Image.resize((width, height), ...): antialiased, horizontal pass first, 22-bit fixed-point
// weights, rounded to 8 bits between the passes. height, width >= 1 and `image` not empty, else
// Error(kInvalidArgument); more than 2^28 pixels in the result or between the passes are
// Error(kTooLarge).
Image resize(const Image& image, int height, int width, Interpolation interpolation);

// The part `window` of resize(image, height, width, interpolation), without computing the rest. The
// window must lie inside height x width and not be empty.
Image resize_window(const Image& image, int height, int width, const Window& window,
                    Interpolation interpolation);

// Image.resize((width, height), ..., box): the box inside of the image, resized; the filter reaches
// beyond the box. Errors as resize's, and kInvalidArgument for a box that is empty or not inside.
Image resize_box(const Image& image, int height, int width, const Box& box,
                 Interpolation interpolation);

// torchvision Resize(size): the short side becomes `size`, the long one int(size * long / short).
Image resize_short_side(const Image& image, int size, Interpolation interpolation);

// The {height, width} that resize_short_side resizes to.
std::pair<int, int> short_side_target(int height, int width, int size);

// Where CenterCrop starts on an axis of `length` >= `crop` pixels: (length - crop) / 2, half to
// even.
int center_offset(int length, int crop);

// Copies a rectangle; what lies outside the image is zero. window.height, window.width >= 0.
Image crop(const PixelView& image, const Window& window);

}  // namespace asmlp
