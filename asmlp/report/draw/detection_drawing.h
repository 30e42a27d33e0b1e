// Objects drawn over their image: of `detect`, and in the report of a training.
#pragma once

#include <array>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "asmlp/image/image.h"
#include "asmlp/metrics/mask_rle.h"

namespace asmlp {

struct DrawnObject {
  std::array<float, 4> box{};  // x1, y1, x2, y2 in pixels of the image
  float score = 0;
  int label = 0;
  const MaskRle* mask = nullptr;  // of the image's size; nullptr: a box alone
};

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

// What a label says.
enum class ObjectText { kNameAndScore, kName };

struct DetectionStyle {
  int factor = 1;    // how often each pixel is repeated
  double font = 13;  // of the labels, in pixels of the picture
  double line = 2;   // of boxes and contours
  ObjectText text = ObjectText::kNameAndScore;
};

// Masks as a tint with a contour, boxes, and a label "name 0.93" at each, in the color of the class
// (image/labels/class_color.h); the better the score, the further on top. A name that `classes`
// lacks is "class k". kTooLarge for more than 32767 pixels to a side. The objects are sorted by
// falling score, and their masks of the size of the image: Error(kInvalidArgument).
Image draw_detections(const Image& image, std::span<const DrawnObject> objects,
                      const std::vector<std::string>& classes, const DetectionStyle& style);

// The same as a PNG file; small images are enlarged (drawing_factor), lines and text grow with
// large ones. Error(kIo).
void write_detections(const std::filesystem::path& path, const Image& image,
                      std::span<const DrawnObject> objects,
                      const std::vector<std::string>& classes);

// A mask at another size: each pixel is that of the mask at its center. Sides >= 1.
MaskRle scaled_mask(const MaskRle& mask, int height, int width);

}  // namespace asmlp
