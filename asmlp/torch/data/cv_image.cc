#include "asmlp/torch/data/cv_image.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "asmlp/core/error.h"

namespace asmlp::data {
namespace {

cv::Mat matrix_of(const Image& image) {
  return cv::Mat(image.height, image.width, CV_8UC(image.channels),
                 const_cast<uint8_t*>(image.pixels.data()));
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
