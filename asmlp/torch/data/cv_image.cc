#include "asmlp/torch/data/cv_image.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <opencv2/imgproc.hpp>

#include "asmlp/core/error.h"

namespace asmlp::data {
namespace {

cv::Mat matrix_of(const Image& image) {
  return cv::Mat(image.height, image.width, CV_8UC(image.channels),
                 const_cast<uint8_t*>(image.pixels.data()));
}

Image resize(const Image& image, CvSize size, int interpolation) {
  require(image.height > 0 && image.width > 0 && size.height > 0 && size.width > 0,
          ErrorCode::kInvalidArgument, "resize of {} x {} to {} x {}: no side may be 0",
          image.height, image.width, size.height, size.width);
  if (size == CvSize{image.height, image.width}) return image;
  // The callers are the threads already.
  [[maybe_unused]] static const bool once = (cv::setNumThreads(1), true);
  Image out(size.height, size.width, image.channels);
  cv::Mat target = matrix_of(out);
  cv::resize(matrix_of(image), target, target.size(), 0, 0, interpolation);
  return out;
}

uint8_t truncated(float value) { return static_cast<uint8_t>(std::clamp(value, 0.0f, 255.0f)); }

// `change` of the hue, saturation, value of every pixel.
template <typename Change>
void change_hsv(Image& rgb, Change change) {
  require(rgb.channels == 3, ErrorCode::kInvalidArgument, "colors need an image of 3 channels");
  cv::Mat image = matrix_of(rgb), hsv;
  cv::cvtColor(image, hsv, cv::COLOR_RGB2HSV);
  for (int y = 0; y < hsv.rows; ++y) {
    for (int x = 0; x < hsv.cols; ++x) change(hsv.ptr(y) + 3 * x);
  }
  cv::cvtColor(hsv, image, cv::COLOR_HSV2RGB);
}

}  // namespace

CvSize fitted_size(int height, int width, double short_side, double long_side) {
  require(height > 0 && width > 0, ErrorCode::kInvalidArgument, "an image of {} x {} has no size",
          height, width);
  const double f =
      std::min(long_side / std::max(height, width), short_side / std::min(height, width));
  const auto scaled = [&](int side) { return std::max(1, static_cast<int>(side * f + 0.5)); };
  return {scaled(height), scaled(width)};
}

Image resize_bilinear(const Image& image, CvSize size) {
  return resize(image, size, cv::INTER_LINEAR);
}

Image resize_nearest(const Image& image, CvSize size) {
  return resize(image, size, cv::INTER_NEAREST);
}

Image flip_horizontal(const Image& image) {
  Image out(image.height, image.width, image.channels);
  cv::Mat target = matrix_of(out);
  if (!image.pixels.empty()) cv::flip(matrix_of(image), target, 1);
  return out;
}

Image crop(const Image& image, int top, int left, CvSize size) {
  require(top >= 0 && left >= 0 && size.height >= 0 && size.width >= 0 &&
              top + size.height <= image.height && left + size.width <= image.width,
          ErrorCode::kInvalidArgument, "the window {} x {} at ({}, {}) leaves the image of {} x {}",
          size.height, size.width, top, left, image.height, image.width);
  Image out(size.height, size.width, image.channels);
  const size_t bytes = size_t(size.width) * image.channels;
  for (int y = 0; y < size.height && bytes > 0; ++y) {
    std::memcpy(out.row(y), image.row(top + y) + size_t(left) * image.channels, bytes);
  }
  return out;
}

void scale_and_shift(Image& rgb, double alpha, double beta) {
  uint8_t table[256];
  for (int v = 0; v < 256; ++v) table[v] = truncated(float(v) * float(alpha) + float(beta));
  for (uint8_t& value : rgb.pixels) value = table[value];
}

void scale_saturation(Image& rgb, double saturation) {
  change_hsv(rgb, [&](uint8_t* hsv) { hsv[1] = truncated(float(hsv[1]) * float(saturation)); });
}

void shift_hue(Image& rgb, int hue) {
  require(hue >= -180 && hue <= 180, ErrorCode::kInvalidArgument, "hue shift {}: must be -180..180",
          hue);
  change_hsv(rgb, [&](uint8_t* hsv) { hsv[0] = uint8_t((hsv[0] + hue + 180) % 180); });
}

}  // namespace asmlp::data
