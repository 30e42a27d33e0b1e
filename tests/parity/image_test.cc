// Decoding, resizing and cropping against Pillow and torchvision, to the byte.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "asmlp/core/error.h"
#include "asmlp/image/decode.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/image/resize.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/support.h"

namespace asmlp::test::image_test {
namespace {

void expect_equal(const Image& image, const Tensor& expected, const std::string& name) {
  ASSERT_EQ(expected.dtype, DType::kU8) << name;
  ASSERT_EQ((Shape{image.height, image.width, image.channels}), expected.shape) << name;
  const auto* bytes = reinterpret_cast<const uint8_t*>(expected.bytes.data());
  size_t differing = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) differing += image.pixels[i] != bytes[i];
  EXPECT_EQ(differing, 0u) << name << ": of " << image.pixels.size() << " bytes";
}

// The same by its size and the checksum of its bytes.
void expect_equal(const Image& image, const nlohmann::json& expected, const std::string& name) {
  EXPECT_EQ((Shape{image.height, image.width, image.channels}), expected["shape"].get<Shape>())
      << name;
  EXPECT_EQ(expected["crc32"], crc32_of(image.pixels)) << name;
}

Interpolation interpolation_of(const std::string& name) {
  return name == "bicubic" ? Interpolation::kBicubic : Interpolation::kBilinear;
}

TEST(ImageGolden, EveryResizeEqualsPillow) {
  const std::regex resized(R"((.*)\.resize(\d+)\.(bicubic|bilinear)\.crop(\d+))");
  const std::regex exact(R"((.*)\.exact(\d+)x(\d+)\.(bicubic|bilinear))");
  const auto golden = nlohmann::json::parse(std::ifstream(data("golden/pil_resize.json")));
  EXPECT_EQ(golden["images"].size(), 16u);
  for (const auto& [name, expected] : golden["images"].items()) {
    std::smatch match;
    if (std::regex_match(name, match, resized)) {
      const Image photo = decode_image(data("photos/" + match[1].str()));
      const int side = std::stoi(match[2]), size = std::stoi(match[4]);
      const Interpolation interpolation = interpolation_of(match[3]);
      const Image whole = resize_short_side(photo, side, interpolation);
      const Window center{center_offset(whole.height, size), center_offset(whole.width, size), size,
                          size};
      expect_equal(crop(whole, center), expected, name);
      // The network's own path, which computes the crop only.
      Preprocessing preprocessing;
      preprocessing.size = size;
      preprocessing.crop_pct = static_cast<double>(size) / side;
      preprocessing.interpolation = interpolation;
      expect_equal(resize_and_crop(photo, preprocessing, 3), expected, name);
    } else {
      ASSERT_TRUE(std::regex_match(name, match, exact)) << name;
      const Image photo = decode_image(data("photos/" + match[1].str()));
      expect_equal(
          resize(photo, std::stoi(match[2]), std::stoi(match[3]), interpolation_of(match[4])),
          expected, name);
    }
  }
}

TEST(ImageGolden, EveryFormatDecodesAsInPillow) {
  const TensorFile golden = read_safetensors(data("images/expected.safetensors"));
  EXPECT_GE(golden.tensors.size(), 54u);
  for (const auto& [name, expected] : golden.tensors) {
    expect_equal(decode_image(data("images/" + name), {.exif = Exif::kIgnore}), expected, name);
  }
}

}  // namespace
}  // namespace asmlp::test::image_test
