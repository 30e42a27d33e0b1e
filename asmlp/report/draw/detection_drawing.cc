#include "asmlp/report/draw/detection_drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/image/encode.h"
#include "asmlp/image/labels/class_color.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/model/spec.h"
#include "asmlp/report/canvas.h"

namespace asmlp {
namespace {

constexpr int kLeastSide = 400;
constexpr double kTint = 0.42;  // weight of the class's color over a mask
constexpr Color kBlack{20, 20, 20};

// The part of a mask inside its bounding box, made when it is drawn: many large ones at a time
// would be larger than the image.
struct Patch {
  int top = 0, left = 0, height = 0, width = 0;
  std::vector<uint8_t> pixels = {};  // row-major

  bool at(int y, int x) const {
    return y >= 0 && x >= 0 && y < height && x < width &&
           pixels[static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)];
  }
};

Patch patch_of(const MaskRle& mask) {
  const auto [x, y, width, height] = mask_box(mask);
  Patch patch{static_cast<int>(y), static_cast<int>(x), static_cast<int>(height),
              static_cast<int>(width)};
  patch.pixels.resize(static_cast<size_t>(patch.height) * static_cast<size_t>(patch.width));
  int64_t position = 0;
  bool set = false;
  for (const uint32_t run : mask.counts) {
    for (int64_t p = position; set && p < position + run; ++p) {
      const auto row = static_cast<size_t>(p % mask.height - patch.top);
      const auto column = static_cast<size_t>(p / mask.height - patch.left);
      patch.pixels[row * static_cast<size_t>(patch.width) + column] = 1;
    }
    position += run;
    set = !set;
  }
  return patch;
}

void tint(Image& image, const Patch& patch, Color color) {
  for (int y = 0; y < patch.height; ++y) {
    uint8_t* pixel = image.row(patch.top + y) + size_t(patch.left) * 3;
    for (int x = 0; x < patch.width; ++x, pixel += 3) {
      if (!patch.at(y, x)) continue;
      const Color mixed = mix({pixel[0], pixel[1], pixel[2]}, color, kTint);
      pixel[0] = mixed.r, pixel[1] = mixed.g, pixel[2] = mixed.b;
    }
  }
}

// A line along the inner side of the mask's edge.
void draw_contour(Canvas& canvas, const Patch& patch, double factor, double line, Color color) {
  const double thick = factor == 1 ? line : std::min(line, factor);
  for (int y = 0; y < patch.height; ++y) {
    for (int x = 0; x < patch.width; ++x) {
      if (!patch.at(y, x)) continue;
      const double left = (patch.left + x) * factor, top = (patch.top + y) * factor;
      const double right = left + factor, bottom = top + factor;
      if (!patch.at(y - 1, x)) canvas.fill(left, top, factor, thick, color);
      if (!patch.at(y + 1, x)) canvas.fill(left, bottom - thick, factor, thick, color);
      if (!patch.at(y, x - 1)) canvas.fill(left, top, thick, factor, color);
      if (!patch.at(y, x + 1)) canvas.fill(right - thick, top, thick, factor, color);
    }
  }
}

bool overlap(const Rect& a, const Rect& b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

void check(const Image& image, std::span<const DrawnObject> objects) {
  require(image.width > 0 && image.height > 0, ErrorCode::kInvalidArgument,
          "an image of {} x {} pixels cannot be drawn on", image.height, image.width);
  require(std::ranges::is_sorted(objects, std::greater(), &DrawnObject::score),
          ErrorCode::kInvalidArgument, "objects to draw must be sorted by falling score");
  for (const DrawnObject& object : objects) {
    require(
        !object.mask || (object.mask->height == image.height && object.mask->width == image.width),
        ErrorCode::kInvalidArgument,
        "an object's mask has not the size of its image, {} x {} pixels", image.height,
        image.width);
  }
}

}  // namespace

int drawing_factor(const Image& image) {
  const int longest = std::max({1, image.height, image.width});
  return longest >= kLeastSide ? 1 : (kLeastSide + longest - 1) / longest;
}

std::vector<Rect> place_labels(double width, double height, std::span<const Rect> boxes,
                               std::span<const Rect> sizes) {
  std::vector<Rect> placed;
  for (size_t i = 0; i < boxes.size(); ++i) {
    const Rect& box = boxes[i];
    const Rect& size = sizes[i];
    const double bottom = box.y + box.height;
    std::vector<Rect> places;
    for (const double y : {box.y - size.height, box.y, bottom, bottom - size.height}) {
      const Rect place{std::clamp(box.x, 0.0, std::max(0.0, width - size.width)),
                       std::clamp(y, 0.0, std::max(0.0, height - size.height)), size.width,
                       size.height};
      // Not where it had to be moved over the box's contents, unless nothing else is left.
      if (place.y == y || places.empty()) places.push_back(place);
    }
    const auto free = std::ranges::find_if(places, [&](const Rect& place) {
      return std::ranges::none_of(placed, [&](const Rect& p) { return overlap(p, place); });
    });
    placed.push_back(free == places.end() ? places.front() : *free);
  }
  return placed;
}

Image draw_detections(const Image& image, std::span<const DrawnObject> objects,
                      const std::vector<std::string>& classes, const DetectionStyle& style) {
  check(image, objects);
  const double factor = style.factor, line = style.line, font = style.font;
  const double width = image.width * factor, height = image.height * factor;

  Image tinted = to_rgb(image);
  for (size_t i = objects.size(); i-- > 0;) {
    if (!objects[i].mask) continue;
    tint(tinted, patch_of(*objects[i].mask), class_color(objects[i].label));
  }
  Canvas canvas(static_cast<int>(width), static_cast<int>(height), kBlack);
  canvas.image(tinted, 0, 0, width, height, Scaling::kNearest);

  const double margin = 4 * font / 13;
  Canvas::TextStyle text{
      .size = font, .bold = true, .max_width = std::max(1.0, width - 2 * margin)};
  std::vector<Rect> boxes, sizes;
  std::vector<std::string> texts;
  for (const DrawnObject& object : objects) {
    const auto [x1, y1, x2, y2] = object.box;
    boxes.push_back({x1 * factor, y1 * factor, (x2 - x1) * factor, (y2 - y1) * factor});
    texts.push_back(class_label(classes, object.label));
    if (style.text == ObjectText::kNameAndScore)
      texts.back() += fmt::format(" {:.2f}", object.score);
    const double needed = std::min(canvas.text_width(texts.back(), text), text.max_width);
    sizes.push_back({0, 0, needed + 2 * margin, std::round(1.45 * font)});
  }
  for (size_t i = objects.size(); i-- > 0;) {
    const Color color = class_color(objects[i].label);
    if (objects[i].mask) draw_contour(canvas, patch_of(*objects[i].mask), factor, line, color);
    // A box without area is still seen.
    const Rect& box = boxes[i];
    canvas.frame(box.x, box.y, std::max(box.width, 2 * line), std::max(box.height, 2 * line), line,
                 color);
  }
  const std::vector<Rect> labels = place_labels(width, height, boxes, sizes);
  for (size_t i = objects.size(); i-- > 0;) {
    const Rect& place = labels[i];
    const Color color = class_color(objects[i].label);
    canvas.fill(place.x, place.y, place.width, place.height, color);
    text.color = text_color_on(color);
    canvas.text(place.x + margin, place.y + place.height / 2 + 0.36 * font, texts[i], text);
  }
  return canvas.pixels();
}

void write_detections(const std::filesystem::path& path, const Image& image,
                      std::span<const DrawnObject> objects,
                      const std::vector<std::string>& classes) {
  const int factor = drawing_factor(image);
  const double unit = std::max(1.0, std::max(image.width, image.height) * factor / 1000.0);
  write_png(path,
            draw_detections(image, objects, classes,
                            {.factor = factor, .font = 13 * unit, .line = std::round(1.6 * unit)}));
}

MaskRle scaled_mask(const MaskRle& mask, int height, int width) {
  std::vector<uint8_t> pixels(static_cast<size_t>(height) * static_cast<size_t>(width));
  const auto source = [](int at, int to, int from) {
    return (2 * int64_t{at} + 1) * from / (2 * int64_t{to});
  };
  // Both go down the columns from left to right, so one walk over the runs is enough; a column that
  // is shown several times is copied.
  size_t run = 0;
  int64_t end = mask.counts.empty() ? 0 : mask.counts[0];
  int64_t last = -1;
  uint8_t* to = pixels.data();
  for (int x = 0; x < width; ++x, to += height) {
    const int64_t column = source(x, width, mask.width);
    if (column == last) {
      std::copy_n(to - height, height, to);
      continue;
    }
    last = column;
    for (int y = 0; y < height; ++y) {
      const int64_t position = column * mask.height + source(y, height, mask.height);
      while (position >= end && run + 1 < mask.counts.size()) end += mask.counts[++run];
      to[y] = position < end && run % 2 == 1;
    }
  }
  return encode_mask({pixels, height, width, PixelOrder::kColumnMajor});
}

}  // namespace asmlp
