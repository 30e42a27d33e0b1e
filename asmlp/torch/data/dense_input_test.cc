#include "asmlp/torch/data/dense_input.h"

#include <gtest/gtest.h>

#include "asmlp/weights/safetensors.h"
#include "tests/support/images.h"
#include "tests/support/support.h"

namespace asmlp::data::dense_input_test {
namespace {

TEST(DenseInput, NormalizesAsOpenCvDoes) {
  const auto file = read_safetensors(test::data("dense/cv.safetensors"));
  const Tensor& tensor = file.tensors.at("normalised");
  ASSERT_EQ(tensor.shape, (Shape{16, 16, 3}));
  const std::vector<float> expected = to_f32(tensor);
  Image image(16, 16, 3);
  for (int v = 0; v < 256; ++v) std::fill_n(image.pixels.begin() + 3 * v, 3, uint8_t(v));
  const auto result = normalized(image, {}).narrow(1, 0, 16).narrow(2, 0, 16);
  EXPECT_TRUE(result.permute({1, 2, 0}).equal(torch::tensor(expected).view({16, 16, 3})));
}

TEST(DenseInput, PadsWithZerosOfTheNormalizedImage) {
  DenseInput input;
  for (int multiple : {1, 4, 32}) {
    input.pad_multiple = multiple;
    for (auto [height, width] : {std::pair{1, 1}, {32, 33}, {31, 64}}) {
      const Image image = noise_image(height, width, 3);
      const auto result = normalized(image, input);
      const auto up = [&](int64_t side) { return (side + multiple - 1) / multiple * multiple; };
      ASSERT_EQ(result.sizes().vec(), (std::vector<int64_t>{3, up(height), up(width)}));
      EXPECT_EQ(result.narrow(1, height, up(height) - height).count_nonzero().item<int64_t>(), 0);
      EXPECT_EQ(result.narrow(2, width, up(width) - width).count_nonzero().item<int64_t>(), 0);
      for (int64_t c = 0; c < 3; ++c) {
        const double value = image.row(height - 1)[(width - 1) * 3 + c];
        EXPECT_NEAR(result[c][height - 1][width - 1].item<double>(),
                    (value - input.mean[c]) / input.std[c], 1e-6);
      }
    }
  }
  EXPECT_THROW(normalized(noise_image(2, 2, 1), input), Error);
}

TEST(DenseInput, ItemsOfATest) {
  const auto sizes = [](int height, int width, const DenseInput& input) {
    const TensorSample sample = test_sample(noise_image(height, width, 3), input);
    const ImageInfo& info = sample.info;
    EXPECT_EQ(info.original_height, height);
    EXPECT_EQ(info.original_width, width);
    EXPECT_EQ(sample.image.sizes().vec(),
              (std::vector<int64_t>{3, info.padded_height, info.padded_width}));
    EXPECT_FALSE(info.boxes.defined());
    return std::vector<int64_t>{info.height, info.width, info.padded_height, info.padded_width};
  };
  const DenseInput detector;
  EXPECT_EQ(sizes(480, 640, detector), (std::vector<int64_t>{800, 1067, 800, 1088}));
  EXPECT_EQ(sizes(1, 10000, detector), (std::vector<int64_t>{1, 1333, 32, 1344}));
  DenseInput segmentor;
  segmentor.short_side = 512;
  segmentor.long_side = 2048;
  segmentor.pad_multiple = 1;
  EXPECT_EQ(sizes(480, 640, segmentor), (std::vector<int64_t>{512, 683, 512, 683}));
  // The image itself, resized and normalized.
  const Image image = noise_image(30, 40, 3);
  const auto expected = normalized(resize_bilinear(image, {800, 1067}), detector);
  EXPECT_TRUE(test_sample(image, detector).image.equal(expected));
  EXPECT_THROW(test_sample(Image(0, 0, 3), detector), Error);
}

}  // namespace
}  // namespace asmlp::data::dense_input_test
