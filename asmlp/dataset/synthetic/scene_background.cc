#include "asmlp/dataset/synthetic/scene_background.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace asmlp {
namespace {

// Arithmetic and square roots only: IEEE 754 fixes their results, and with them every pixel.
using Rgb = std::array<double, 3>;

constexpr int kMaxShapes = 5;
constexpr double kMinPeriod = 3, kMaxPeriod = 40;  // pixels, of stripes, checks and rings

Rgb random_color(SceneRandom& random) {
  Rgb color;
  for (double& part : color) part = random.uniform(0, 255);
  return color;
}

// 0 at even integers, 1 at odd ones, straight in between.
double triangle(double x) { return std::abs(x - 2 * std::floor(x / 2) - 1); }

// A color for every place of the image: two colors mixed by a pattern.
class Texture {
 public:
  // `extent` is the longer side of the image in pixels.
  Texture(SceneRandom& random, double extent) {
    pattern_ = static_cast<Pattern>(random.below(4));
    low_ = random_color(random);
    high_ = random_color(random);
    period_ = pattern_ == kGradient ? extent : random.uniform(kMinPeriod, kMaxPeriod);
    y_ = random.uniform(0, extent);
    x_ = random.uniform(0, extent);
    dy_ = random.uniform(-1, 1);
    dx_ = random.uniform(-1, 1);
    const double length = std::max(std::sqrt(dy_ * dy_ + dx_ * dx_), 1e-3);
    dy_ /= length;
    dx_ /= length;
    sharpness_ = random.uniform(1, 6);
  }

  Rgb at(double y, double x) const {
    const double share = std::clamp((mix(y - y_, x - x_) - 0.5) * sharpness_ + 0.5, 0.0, 1.0);
    Rgb color;
    for (size_t c = 0; c < 3; ++c) color[c] = low_[c] + (high_[c] - low_[c]) * share;
    return color;
  }

 private:
  enum Pattern { kGradient, kStripes, kChecks, kRings };

  // 0..1, by the place relative to the pattern's center.
  double mix(double y, double x) const {
    const double along = (y * dy_ + x * dx_) / period_, across = (x * dy_ - y * dx_) / period_;
    switch (pattern_) {
      case kGradient:
        return std::clamp(along + 0.5, 0.0, 1.0);
      case kStripes:
        return triangle(along);
      case kChecks:
        return std::abs(triangle(along) - triangle(across));
      default:
        return triangle(std::sqrt(along * along + across * across));
    }
  }

  Pattern pattern_;
  Rgb low_, high_;
  double period_, y_, x_, dy_, dx_, sharpness_;
};

struct Canvas {
  int height, width;
  std::vector<Rgb> pixels;
  Rgb& at(int y, int x) { return pixels[static_cast<size_t>(y) * width + x]; }
};

// A turned box or ellipse with a texture of its own.
void add_shape(Canvas& canvas, SceneRandom& random, double extent) {
  const Texture texture(random, extent);
  const bool ellipse = random.uniform() < 0.5;
  const double y0 = random.uniform(0, canvas.height), x0 = random.uniform(0, canvas.width);
  const double height = random.uniform(0.05, 0.3) * extent;
  const double width = random.uniform(0.05, 0.3) * extent;
  const double skew = random.uniform(-0.6, 0.6);
  for (int y = 0; y < canvas.height; ++y) {
    for (int x = 0; x < canvas.width; ++x) {
      const double v = (y - y0 + skew * (x - x0)) / height;
      const double u = (x - x0 - skew * (y - y0)) / width;
      const bool inside = ellipse ? u * u + v * v < 1 : std::max(std::abs(u), std::abs(v)) < 1;
      if (inside) canvas.at(y, x) = texture.at(y, x);
    }
  }
}

// Adds value noise: random colors in -amplitude..amplitude, more gray than colored, on a grid of
// `period` pixels, smoothly interpolated.
void add_octave(Canvas& canvas, SceneRandom& random, double period, double amplitude) {
  const int rows = static_cast<int>(canvas.height / period) + 2;
  const int columns = static_cast<int>(canvas.width / period) + 2;
  std::vector<Rgb> grid(static_cast<size_t>(rows) * columns);
  for (Rgb& value : grid) {
    const double gray = random.uniform(-0.7, 0.7);
    for (double& part : value) part = amplitude * (gray + random.uniform(-0.3, 0.3));
  }
  const auto smooth = [](double t) { return t * t * (3 - 2 * t); };
  for (int y = 0; y < canvas.height; ++y) {
    const int row = static_cast<int>(y / period);
    const double v = smooth(y / period - row);
    for (int x = 0; x < canvas.width; ++x) {
      const int column = static_cast<int>(x / period);
      const double u = smooth(x / period - column);
      const Rgb* corner = &grid[static_cast<size_t>(row) * columns + column];
      Rgb& pixel = canvas.at(y, x);
      for (size_t c = 0; c < 3; ++c) {
        const double above = corner[0][c] + (corner[1][c] - corner[0][c]) * u;
        const double below = corner[columns][c] + (corner[columns + 1][c] - corner[columns][c]) * u;
        pixel[c] += above + (below - above) * v;
      }
    }
  }
}

}  // namespace

Image scene_background(int height, int width, double clutter, SceneRandom& random) {
  Canvas canvas{height, width, std::vector<Rgb>(static_cast<size_t>(height) * width)};
  const double extent = std::max(height, width);
  const Texture texture(random, extent);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) canvas.at(y, x) = texture.at(y, x);
  }
  const int64_t shapes = random.below(kMaxShapes + 1);
  for (int64_t i = 0; i < shapes; ++i) add_shape(canvas, random, extent);
  double amplitude = random.uniform(10, 70);
  const double decay = random.uniform(0.5, 0.9);  // of an octave to the next
  for (double period = extent / 2; period >= 2; period /= 2, amplitude *= decay) {
    add_octave(canvas, random, period, amplitude);
  }
  Rgb mean{};
  for (const Rgb& pixel : canvas.pixels) {
    for (size_t c = 0; c < 3; ++c) mean[c] += pixel[c] / static_cast<double>(canvas.pixels.size());
  }
  Image image(height, width, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    const double level = mean[i % 3] + (canvas.pixels[i / 3][i % 3] - mean[i % 3]) * clutter;
    image.pixels[i] = static_cast<uint8_t>(std::clamp(level + 0.5, 0.0, 255.0));
  }
  return image;
}

}  // namespace asmlp
