#include "asmlp/image/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "asmlp/core/error.h"
#include "asmlp/image/resize_kernels.h"

namespace asmlp {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 28;

double support_of(Interpolation interpolation) {
  return interpolation == Interpolation::kBicubic ? 2.0 : 1.0;
}

// The filter at x: a triangle, or Keys' cubic with a = -0.5.
double filter(Interpolation interpolation, double x) {
  x = std::abs(x);
  if (interpolation == Interpolation::kBilinear) return x < 1.0 ? 1.0 - x : 0.0;
  constexpr double a = -0.5;
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

struct Axis {
  std::vector<Taps> taps;  // one per output of the window
  std::vector<int32_t> storage;
  int first = 0, last = 0;  // inputs [first, last) that any output of the window needs
};

// A part of the inputs of an axis, [start, start + length).
struct Part {
  double start = 0, length = 0;
};

// Weights of outputs [begin, begin + count) of an axis of which `part` of the `in` samples is
// resized to `out`.
Axis plan_axis(int in, Part part, int out, int begin, int count, Interpolation interpolation) {
  const double scale = part.length / out;
  const double filter_scale = std::max(scale, 1.0);
  const double support = support_of(interpolation) * filter_scale;
  const double inverse = 1.0 / filter_scale;
  const size_t stride = static_cast<size_t>(std::ceil(support)) * 2 + 1;
  require(stride * static_cast<size_t>(count) <= static_cast<size_t>(kMaxPixels),
          ErrorCode::kTooLarge, "resizing a side of {} pixels to {} of {} takes too many weights",
          in, count, out);
  Axis axis;
  axis.taps.resize(static_cast<size_t>(count));
  axis.storage.resize(stride * static_cast<size_t>(count));
  axis.first = in;
  std::vector<double> exact(stride);
  for (int i = 0; i < count; ++i) {
    const double center = part.start + (begin + i + 0.5) * scale;
    const int lo = std::max(0, static_cast<int>(center - support + 0.5));
    const int hi = std::min(in, static_cast<int>(center + support + 0.5));
    double sum = 0;
    for (int j = 0; j < hi - lo; ++j) {
      exact[j] = filter(interpolation, (j + lo - center + 0.5) * inverse);
      sum += exact[j];
    }
    int32_t* weights = axis.storage.data() + stride * static_cast<size_t>(i);
    for (int j = 0; j < hi - lo; ++j) {
      const double weight = (sum != 0.0 ? exact[j] / sum : exact[j]) * (1 << kWeightBits);
      weights[j] = static_cast<int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    axis.taps[i] = {lo, hi - lo, weights};
    axis.first = std::min(axis.first, lo);
    axis.last = std::max(axis.last, hi);
  }
  return axis;
}

// Rows [first, first + count) of `image` resized horizontally to axis.taps.size() columns.
Image horizontal_pass(const Image& image, int first, int count, const Axis& axis) {
  const ResizeKernels& kernels = resize_kernels();
  const int channels = image.channels;
  Image out(count, static_cast<int>(axis.taps.size()), channels);
  const size_t in_samples = static_cast<size_t>(axis.last - axis.first) * channels;
  const size_t out_samples = axis.taps.size() * channels;
  std::vector<uint8_t> columns(in_samples * kLanes), filtered(out_samples * kLanes);
  std::vector<uint8_t> unused(out_samples);
  for (int y = 0; y < count; y += kLanes) {
    const int rows = std::min(kLanes, count - y);
    // Lanes beyond the last row repeat it; their results go nowhere.
    std::array<const uint8_t*, kLanes> in;
    std::array<uint8_t*, kLanes> to;
    for (int lane = 0; lane < kLanes; ++lane) {
      in[lane] = image.row(first + y + std::min(lane, rows - 1)) +
                 static_cast<size_t>(axis.first) * channels;
      to[lane] = lane < rows ? out.row(y + lane) : unused.data();
    }
    kernels.gather(in.data(), in_samples, columns.data());
    kernels.columns(columns.data(), axis.first, axis.taps, channels, filtered.data());
    kernels.scatter(filtered.data(), out_samples, to.data());
  }
  return out;
}

// `image` holds the rows from axis.first on.
Image vertical_pass(const Image& image, const Axis& axis) {
  const ResizeKernels& kernels = resize_kernels();
  Image out(static_cast<int>(axis.taps.size()), image.width, image.channels);
  const size_t samples = static_cast<size_t>(image.width) * image.channels;
  for (int y = 0; y < out.height; ++y) {
    const Taps& taps = axis.taps[y];
    kernels.rows(image.row(taps.first - axis.first), samples, taps, out.row(y));
  }
  return out;
}

void check_area(const Image& image, int64_t height, int64_t width) {
  require(
      height * width <= kMaxPixels, ErrorCode::kTooLarge,
      "resizing an image of {} x {} (height x width) takes {} x {} pixels at once; {} are the most",
      image.height, image.width, height, width, kMaxPixels);
}

// resize_window of the part `box` of the image.
Image resize_part(const Image& image, const Box& box, int height, int width, const Window& window,
                  Interpolation interpolation) {
  check_area(image, window.height, window.width);
  const bool all_rows = box.top == 0 && box.height == image.height;
  const bool all_columns = box.left == 0 && box.width == image.width;
  const bool resize_rows = height != image.height || !all_rows;
  const bool resize_columns = width != image.width || !all_columns;
  if (!resize_rows && !resize_columns) return crop(image, window);

  Axis vertical;
  int first = window.top, count = window.height;
  if (resize_rows) {
    vertical = plan_axis(image.height, {box.top, box.height}, height, window.top, window.height,
                         interpolation);
    first = vertical.first;
    count = vertical.last - vertical.first;
  }
  check_area(image, count, window.width);
  Image narrowed;
  if (resize_columns) {
    const Axis horizontal = plan_axis(image.width, {box.left, box.width}, width, window.left,
                                      window.width, interpolation);
    narrowed = horizontal_pass(image, first, count, horizontal);
  } else {
    narrowed = crop(image, {first, window.left, count, window.width});
  }
  return resize_rows ? vertical_pass(narrowed, vertical) : narrowed;
}

void check_sides(const Image& image, int height, int width) {
  require(image.height >= 1 && image.width >= 1 && height >= 1 && width >= 1,
          ErrorCode::kInvalidArgument,
          "cannot resize an image of {} x {} (height x width) to {} x {}", image.height,
          image.width, height, width);
}

}  // namespace

Image resize_window(const Image& image, int height, int width, const Window& window,
                    Interpolation interpolation) {
  check_sides(image, height, width);
  require(window.height >= 1 && window.width >= 1 && window.top >= 0 && window.left >= 0 &&
              window.top <= height - window.height && window.left <= width - window.width,
          ErrorCode::kInvalidArgument,
          "the window {} x {} (height x width) at row {}, column {} is outside {} x {}",
          window.height, window.width, window.top, window.left, height, width);
  const Box all{0, 0, double(image.height), double(image.width)};
  return resize_part(image, all, height, width, window, interpolation);
}

Image resize_box(const Image& image, int height, int width, const Box& box,
                 Interpolation interpolation) {
  check_sides(image, height, width);
  require(box.height > 0 && box.width > 0 && box.top >= 0 && box.left >= 0 &&
              box.top + box.height <= image.height && box.left + box.width <= image.width,
          ErrorCode::kInvalidArgument,
          "the box {} x {} (height x width) at row {}, column {} is outside {} x {}", box.height,
          box.width, box.top, box.left, image.height, image.width);
  return resize_part(image, box, height, width, {0, 0, height, width}, interpolation);
}

Image resize(const Image& image, int height, int width, Interpolation interpolation) {
  return resize_window(image, height, width, {0, 0, height, width}, interpolation);
}

std::pair<int, int> short_side_target(int height, int width, int size) {
  require(height >= 1 && width >= 1 && size >= 1, ErrorCode::kInvalidArgument,
          "cannot resize an image of {} x {} (height x width) to a short side of {}", height, width,
          size);
  const int64_t shorter = std::min(height, width), longer = std::max(height, width);
  // Python's int(size * long / short): an exact product, one rounded division, truncation.
  const double target = static_cast<double>(size * longer) / static_cast<double>(shorter);
  require(target * size <= static_cast<double>(kMaxPixels), ErrorCode::kTooLarge,
          "an image of {} x {} (height x width) is too elongated to resize its short side to {}",
          height, width, size);
  const int other = static_cast<int>(target);
  return width <= height ? std::pair{other, size} : std::pair{size, other};
}

Image resize_short_side(const Image& image, int size, Interpolation interpolation) {
  const auto [height, width] = short_side_target(image.height, image.width, size);
  return resize(image, height, width, interpolation);
}

int center_offset(int length, int crop) {
  const int half = (length - crop) / 2;
  // An odd difference lies halfway between two integers; the even one wins.
  return (length - crop) % 2 != 0 && half % 2 != 0 ? half + 1 : half;
}

Image crop(const PixelView& image, const Window& window) {
  Image out(window.height, window.width, image.channels);
  const int64_t left = std::clamp<int64_t>(window.left, 0, image.width);
  const int64_t right = std::clamp<int64_t>(int64_t{window.left} + window.width, left, image.width);
  if (left == right) return out;
  const size_t bytes = static_cast<size_t>(right - left) * image.channels;
  for (int y = 0; y < window.height; ++y) {
    const int64_t source = int64_t{window.top} + y;
    if (source < 0 || source >= image.height) continue;
    std::memcpy(out.row(y) + static_cast<size_t>(left - window.left) * image.channels,
                image.row(static_cast<int>(source)) + static_cast<size_t>(left) * image.channels,
                bytes);
  }
  return out;
}

}  // namespace asmlp
