#include "asmlp/torch/data/cv_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/images.h"
#include "tests/support/support.h"

namespace asmlp::data::cv_image_test {
namespace {

CvSize parsed_size(const std::string& text) {
  CvSize size;
  EXPECT_EQ(std::sscanf(text.c_str(), "%dx%d", &size.height, &size.width), 2) << text;
  return size;
}

// Applies the case "source/operation/argument".
Image applied(Image image, const std::string& name) {
  const auto parts = split(name);
  const std::string &operation = parts.at(1), &argument = parts.at(2);
  if (operation == "bilinear") return resize_bilinear(image, parsed_size(argument));
  if (operation == "nearest") return resize_nearest(image, parsed_size(argument));
  if (operation == "hue") {
    shift_hue(image, std::stoi(argument));
  } else if (operation == "saturation") {
    scale_saturation(image, std::stod(argument));
  } else if (operation == "contrast") {
    scale_and_shift(image, std::stod(argument), 0);
  } else if (operation == "brightness") {
    scale_and_shift(image, 1, std::stod(argument));
  } else {
    ADD_FAILURE() << "unknown case " << name;
  }
  return image;
}

TEST(CvImage, HasOpenCvsPixels) {
  const auto file = read_safetensors(test::data("dense/cv.safetensors"));
  std::map<std::string, int> cases;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.find('/') == std::string::npos) continue;
    const auto parts = split(name);
    const Image result = applied(image_of(file.tensors.at(parts[0])), name);
    const Image expected = image_of(tensor);
    EXPECT_EQ(result.height, expected.height) << name;
    EXPECT_EQ(result.width, expected.width) << name;
    EXPECT_EQ(result.pixels, expected.pixels) << name;
    ++cases[parts[1]];
  }
  EXPECT_EQ(cases, (std::map<std::string, int>{{"bilinear", 25},
                                               {"nearest", 25},
                                               {"brightness", 5},
                                               {"contrast", 5},
                                               {"saturation", 5},
                                               {"hue", 5}}));
}

TEST(CvImage, HasOpenCvsPixelsOfAPhoto) {
  const auto file = read_safetensors(test::data("dense/cv.safetensors"));
  const Image photo = decode_image(test::data("photos/chelsea.png"));
  int cases = 0;
  for (const auto& [name, crc] : file.metadata) {
    if (!name.starts_with("photo/")) continue;
    ++cases;
    EXPECT_EQ(crc32(applied(photo, name).pixels), crc) << name;
  }
  EXPECT_EQ(cases, 52);
}

TEST(CvImage, FittedSizes) {
  EXPECT_EQ(fitted_size(480, 640, 800, 1333), (CvSize{800, 1067}));
  EXPECT_EQ(fitted_size(640, 480, 800, 1333), (CvSize{1067, 800}));
  EXPECT_EQ(fitted_size(480, 640, 480, 1333), (CvSize{480, 640}));
  EXPECT_EQ(fitted_size(300, 1000, 800, 1333), (CvSize{400, 1333}));  // the long side decides
  EXPECT_EQ(fitted_size(512, 683, 512, 2048), (CvSize{512, 683}));
  EXPECT_EQ(fitted_size(2, 3, 3, 100), (CvSize{3, 5}));            // 4.5 is rounded up
  EXPECT_EQ(fitted_size(1, 10000, 800, 1333), (CvSize{1, 1333}));  // not 0
  EXPECT_EQ(fitted_size(1, 1, 800, 1333), (CvSize{800, 800}));
  EXPECT_THROW(fitted_size(0, 5, 800, 1333), Error);
}

TEST(CvImage, FlipsAndCrops) {
  for (int channels : {1, 3}) {
    for (int width : {1, 2, 7}) {
      const Image image = noise_image(5, width, channels);
      const Image flipped = flip_horizontal(image);
      for (int y = 0; y < 5; ++y) {
        for (int x = 0; x < width; ++x) {
          for (int c = 0; c < channels; ++c) {
            EXPECT_EQ(flipped.row(y)[x * channels + c],
                      image.row(y)[(width - 1 - x) * channels + c]);
          }
        }
      }
    }
  }
  const Image image = noise_image(6, 7, 3);
  const Image part = crop(image, 2, 3, {3, 4});
  ASSERT_EQ(part.pixels.size(), 3u * 4 * 3);
  for (int y = 0; y < 3; ++y) {
    EXPECT_TRUE(std::equal(part.row(y), part.row(y) + 12, image.row(y + 2) + 9));
  }
  EXPECT_EQ(crop(image, 0, 0, {6, 7}).pixels, image.pixels);
  EXPECT_TRUE(crop(image, 6, 7, {0, 0}).pixels.empty());
}

TEST(CvImage, RefusesWhatHasNoMeaning) {
  const Image image = noise_image(6, 7, 3);
  EXPECT_THROW(resize_bilinear(image, {0, 5}), Error);
  EXPECT_THROW(resize_nearest(Image(0, 4, 3), {2, 2}), Error);
  for (auto [top, left] : {std::pair{-1, 0}, {0, -1}, {4, 0}, {0, 5}}) {
    EXPECT_THROW(crop(image, top, left, {3, 3}), Error);
  }
  Image gray = noise_image(2, 2, 1), rgb = image;
  EXPECT_THROW(scale_saturation(gray, 1), Error);
  EXPECT_THROW(shift_hue(rgb, 181), Error);
}

}  // namespace
}  // namespace asmlp::data::cv_image_test
