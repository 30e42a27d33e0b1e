// The picture of `detect`: what was found, drawn over the image.
#pragma once

#include <array>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "asmlp/image/image.h"
#include "asmlp/metrics/mask_rle.h"
#include "asmlp/report/palette.h"

namespace asmlp::cli {

struct DrawnObject {
  std::array<float, 4> box{};  // x1, y1, x2, y2 in pixels of the image
  float score = 0;
  int label = 0;
  const MaskRle* mask = nullptr;  // of the image's size, or null: a box only
};

// The color of a class, always the same: neighboring classes differ in hue and lightness.
Color class_color(int label);

// How often each pixel of an image is repeated to be drawn on: 1 from 400 pixels on the longer
// side, else the least number that reaches them.
int drawing_factor(const Image& image);

struct Rect {
  double x = 0, y = 0, width = 0, height = 0;
  bool operator==(const Rect&) const = default;
};

// Places a label of each size (width and height of `sizes`) at its box, on a picture of width x
// height: above its upper edge, else inside there, below the lower edge, inside there; where it
// does not cover an earlier label if there is such a place, always inside of the picture if it
// fits there.
std::vector<Rect> place_labels(double width, double height, std::span<const Rect> boxes,
                               std::span<const Rect> sizes);

// Masks as a tint with a contour, boxes, and a label "name 0.93" at each; the better the score, the
// further on top. Small images are enlarged (drawing_factor), lines and text grow with large ones.
// A name that `classes` lacks is "class k". Writes a PNG file; Error(kIo), and kTooLarge for more
// than 32767 pixels to a side. The objects are sorted by falling score, and their masks of the size
// of the image: Error(kInvalidArgument).
void write_detections(const std::filesystem::path& path, const Image& image,
                      std::span<const DrawnObject> objects,
                      const std::vector<std::string>& classes);

}  // namespace asmlp::cli
