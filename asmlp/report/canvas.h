// A picture to draw on: the few things of Cairo that the command needs, saved as PNG.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "asmlp/image/image.h"
#include "asmlp/report/palette.h"

namespace asmlp {

enum class Anchor { kLeft, kCenter, kRight };
enum class Scaling { kNearest, kSmooth };

// Coordinates are pixels from the top left. Text is DejaVu Sans (or what fontconfig has instead);
// `y` is its baseline.
class Canvas {
 public:
  // Error(kInvalidArgument / kTooLarge) for a size outside 1..32767.
  Canvas(int width, int height, Color background);
  ~Canvas();
  Canvas(Canvas&&) noexcept;
  Canvas& operator=(Canvas&&) noexcept;

  struct TextStyle {
    double size = 12;  // font size in pixels
    Color color = kLight.ink;
    Anchor anchor = Anchor::kLeft;
    bool bold = false;
    double max_width = 0;  // cut with an ellipsis when wider; 0: never
    double angle = 0;      // degrees, counter-clockwise, around the anchor point
  };

  void fill(double x, double y, double width, double height, Color color);
  // The line lies inside the rectangle.
  void frame(double x, double y, double width, double height, double line, Color color);
  // Straight lines from point (x, y) to point, `line` wide, with round corners.
  void polyline(std::span<const std::pair<double, double>> points, double line, Color color);
  void text(double x, double y, const std::string& text, const TextStyle& style);
  double text_width(const std::string& text, const TextStyle& style) const;
  void image(const Image& image, double x, double y, double width, double height, Scaling scaling);
  Image pixels() const;  // RGB
  // Writes a PNG file atomically; Error(kIo).
  void save(const std::filesystem::path& path) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace asmlp
