#include "asmlp/torch/data/cv_image.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <string>

#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/opencv/cv_resize.h"
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
    EXPECT_EQ(test::crc32_of(applied(photo, name).pixels), crc) << name;
  }
  EXPECT_EQ(cases, 52);
}

TEST(CvImage, RefusesWhatHasNoMeaning) {
  Image gray = noise_image(2, 2, 1), rgb = noise_image(6, 7, 3);
  EXPECT_THROW(scale_saturation(gray, 1), Error);
  EXPECT_THROW(shift_hue(rgb, 181), Error);
}

}  // namespace
}  // namespace asmlp::data::cv_image_test
