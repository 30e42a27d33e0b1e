// The operations of RandAugment against Pillow's numbers (tests/data/augment).
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "asmlp/image/decode.h"
#include "asmlp/torch/data/augment/color.h"
#include "asmlp/torch/data/augment/rand_augment.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/images.h"
#include "tests/support/support.h"

namespace asmlp::data::augment_ops_test {
namespace {

const std::map<std::string, AugmentOp> kOps{{"auto_contrast", AugmentOp::kAutoContrast},
                                            {"equalize", AugmentOp::kEqualize},
                                            {"invert", AugmentOp::kInvert},
                                            {"rotate", AugmentOp::kRotate},
                                            {"posterize", AugmentOp::kPosterize},
                                            {"solarize", AugmentOp::kSolarize},
                                            {"solarize_add", AugmentOp::kSolarizeAdd},
                                            {"color", AugmentOp::kColor},
                                            {"contrast", AugmentOp::kContrast},
                                            {"brightness", AugmentOp::kBrightness},
                                            {"sharpness", AugmentOp::kSharpness},
                                            {"shear_x", AugmentOp::kShearX},
                                            {"shear_y", AugmentOp::kShearY},
                                            {"translate_x", AugmentOp::kTranslateX},
                                            {"translate_y", AugmentOp::kTranslateY}};

// Applies the case "source/operation/argument/interpolation".
Image applied(Image image, const std::string& name) {
  const auto parts = split(name);
  AugmentContext context;
  context.fill = {124, 116, 104};
  apply_op(image, kOps.at(parts.at(1)), std::stod(parts.at(2)),
           parts.at(3) == "bicubic" ? Interpolation::kBicubic : Interpolation::kBilinear, context);
  return image;
}

TEST(AugmentOps, GivePillowsBytes) {
  const TensorFile file = read_safetensors(test::data("augment/expected.safetensors"));
  std::set<std::string> ops;
  for (const auto& [name, tensor] : file.tensors) {
    const auto parts = split(name);
    if (parts.size() == 1) continue;
    const Image result = applied(image_of(file.tensors.at(parts[0])), name);
    EXPECT_EQ(result.pixels, image_of(tensor).pixels) << name;
    ops.insert(parts[0] + parts[1]);
  }
  EXPECT_EQ(ops.size(), 3u * kAugmentOps);
}

TEST(AugmentOps, GivePillowsBytesForAPhoto) {
  const TensorFile file = read_safetensors(test::data("augment/expected.safetensors"));
  const Image photo = decode_image(test::data("photos/chelsea.png"));
  int cases = 0;
  for (const auto& [name, expected] : file.metadata) {
    if (!name.starts_with("photo/")) continue;
    EXPECT_EQ(test::crc32_of(applied(photo, name).pixels), expected) << name;
    ++cases;
  }
  EXPECT_GT(cases, 90);
}

TEST(AugmentOps, GrayImagesAreTheirOwnChannel) {
  const Image gray = noise_image(12, 17, 1);
  Image rgb(12, 17, 3);
  for (size_t i = 0; i < rgb.pixels.size(); ++i) rgb.pixels[i] = gray.pixels[i / 3];
  for (const auto& [name, op] : kOps) {
    for (const double argument : {0.1, 1.0, 1.7}) {
      Image one = gray, three = rgb;
      AugmentContext context;
      apply_op(one, op, argument, Interpolation::kBicubic, context);
      apply_op(three, op, argument, Interpolation::kBicubic, context);
      ASSERT_EQ(one.channels, 1);
      for (size_t i = 0; i < one.pixels.size(); ++i) {
        ASSERT_EQ(one.pixels[i], three.pixels[3 * i]) << name << ' ' << argument;
      }
    }
  }
  Image same = gray;
  color(same, 0.3);
  EXPECT_EQ(same.pixels, gray.pixels);
}

TEST(AugmentOps, FactorOneAndNoMotionChangeNothing) {
  const Image image = noise_image(9, 10, 3);
  for (const auto& [op, argument] : {std::pair{AugmentOp::kColor, 1.0},
                                     {AugmentOp::kContrast, 1.0},
                                     {AugmentOp::kBrightness, 1.0},
                                     {AugmentOp::kSharpness, 1.0},
                                     {AugmentOp::kRotate, 0.0},
                                     {AugmentOp::kShearX, 0.0},
                                     {AugmentOp::kTranslateY, 0.0},
                                     {AugmentOp::kSolarize, 256.0},
                                     {AugmentOp::kSolarizeAdd, 0.0},
                                     {AugmentOp::kPosterize, 8.0}}) {
    for (const auto interpolation : {Interpolation::kBilinear, Interpolation::kBicubic}) {
      Image result = image;
      AugmentContext context;
      apply_op(result, op, argument, interpolation, context);
      EXPECT_EQ(result.pixels, image.pixels) << static_cast<int>(op);
    }
  }
}

// By hand: 3 columns to the right of what it was, the fill color on the left.
TEST(AugmentOps, TranslateShowsTheFillColor) {
  Image image = noise_image(4, 10, 3);
  const Image before = image;
  AugmentContext context;
  context.fill = {1, 2, 3};
  apply_op(image, AugmentOp::kTranslateX, -0.3, Interpolation::kBicubic, context);
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 10; ++x) {
      for (int c = 0; c < 3; ++c) {
        EXPECT_EQ(image.row(y)[3 * x + c], x < 3 ? c + 1 : before.row(y)[3 * (x - 3) + c]);
      }
    }
  }
}

}  // namespace
}  // namespace asmlp::data::augment_ops_test
