// Turning pictures upright: the eight orientations of EXIF.
//   1 upright            2 mirrored left to right     3 turned by 180 degrees
//   4 mirrored top to bottom                          5 mirrored at the main diagonal
//   6 to be turned by 90 degrees clockwise            7 mirrored at the other diagonal
//   8 to be turned by 90 degrees counterclockwise
#pragma once

#include <utility>

#include "asmlp/image/image.h"
#include "asmlp/image/resize.h"

namespace asmlp {

// True for 5..8: height and width change places.
constexpr bool swaps_sides(int orientation) { return orientation >= 5; }

// The upright picture of stored pixels; `orientation` is 1..8, else Error(kInvalidArgument). As
// Pillow's ImageOps.exif_transpose and OpenCV's imread do it.
Image upright(Image stored, int orientation);

// Where the part `window` of the upright picture lies in the stored one of height x width pixels.
Window stored_window(const Window& window, int orientation, int height, int width);

// Where the box of a stored picture of height x width pixels lies in the upright one.
Box upright_box(const Box& box, int orientation, int height, int width);

}  // namespace asmlp
