// The resizing of image/opencv is OpenCV's own, byte for byte.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <opencv2/imgproc.hpp>
#include <random>

#include "asmlp/image/opencv/cv_resize.h"

namespace asmlp::data::opencv_test {
namespace {

Image by_opencv(const Image& image, CvSize size, int interpolation) {
  Image out(size.height, size.width, image.channels);
  const auto matrix = [](const Image& i) {
    return cv::Mat(i.height, i.width, CV_8UC(i.channels), const_cast<uint8_t*>(i.pixels.data()));
  };
  cv::Mat target = matrix(out);
  cv::resize(matrix(image), target, target.size(), 0, 0, interpolation);
  return out;
}

void expect_the_same(const Image& image, CvSize size) {
  const auto what = fmt::format("{} x {} x {} to {} x {}", image.height, image.width,
                                image.channels, size.height, size.width);
  ASSERT_TRUE(resize_bilinear(image, size).pixels ==
              by_opencv(image, size, cv::INTER_LINEAR).pixels)
      << what;
  ASSERT_TRUE(resize_nearest(image, size).pixels ==
              by_opencv(image, size, cv::INTER_NEAREST).pixels)
      << what;
}

// Smooth, noisy, or black and white.
Image picture(int height, int width, int channels, std::mt19937& random) {
  Image image(height, width, channels);
  const uint32_t kind = random() % 3;
  uint8_t value = 0;
  for (uint8_t& pixel : image.pixels) {
    if (kind == 0) value = static_cast<uint8_t>(random());
    if (kind == 1) value = random() % 2 == 0 ? 0 : 255;
    if (kind == 2) value = static_cast<uint8_t>(value + random() % 3);
    pixel = value;
  }
  return image;
}

TEST(OpenCv, ResizesToTheSameBytes) {
  cv::setNumThreads(1);
  std::mt19937 random(5);
  const auto side = [&] {
    static constexpr std::array kMost{1, 4, 150, 150, 150, 700};
    return 1 + static_cast<int>(random() % kMost[random() % kMost.size()]);
  };
  for (int trial = 0; trial < 1500; ++trial) {
    const CvSize size{side(), side()};
    CvSize source{side(), side()};
    switch (trial % 16) {
      case 0:
        source = size;
        break;
      case 1:
        source = {2 * size.height, 2 * size.width};
        break;
      case 2:
        source.width = 2 * size.width;
        break;
      case 3:
        source = {4 * size.height, 4 * size.width};
        break;
      case 4:
        source = {3 * size.height, 3 * size.width};
        break;
      case 5:
        source = {(size.height + 1) / 2, (size.width + 1) / 2};
        break;
      case 6:
        source = {2 * size.height, 2 * size.width + 1};
        break;
      default:
        break;
    }
    const Image image = picture(source.height, source.width, trial % 2 == 0 ? 3 : 1, random);
    ASSERT_NO_FATAL_FAILURE(expect_the_same(image, size));
  }
}

TEST(OpenCv, ResizesLongSidesToTheSameBytes) {
  cv::setNumThreads(1);
  std::mt19937 random(6);
  for (int trial = 0; trial < 200; ++trial) {
    const int length = 1 + static_cast<int>(random() % (trial % 3 == 0 ? 8 : 40000));
    const int new_length = 1 + static_cast<int>(random() % 60000);
    const int channels = trial % 2 == 0 ? 3 : 1;
    ASSERT_NO_FATAL_FAILURE(expect_the_same(picture(2, length, channels, random), {3, new_length}));
    ASSERT_NO_FATAL_FAILURE(expect_the_same(picture(length, 3, channels, random), {new_length, 2}));
  }
}

}  // namespace
}  // namespace asmlp::data::opencv_test
