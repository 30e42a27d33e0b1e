#include "asmlp/image/opencv/dense_input.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/core/error.h"
#include "tests/support/support.h"

namespace asmlp::cv_dense_input_test {
namespace {

TEST(NormalizeInto, HasImnormalizesValuesAndZeros) {
  DenseInput input;
  for (const int multiple : {1, 4, 32}) {
    input.pad_multiple = multiple;
    for (const auto& [height, width] : {std::pair{1, 1}, {32, 33}, {31, 64}}) {
      Image image(height, width, 3);
      for (size_t i = 0; i < image.pixels.size(); ++i) {
        image.pixels[i] = static_cast<uint8_t>(i * 7919 >> 3);
      }
      const CvSize size = padded_size({height, width}, input);
      EXPECT_EQ(size.height % multiple, 0);
      EXPECT_EQ(size.width % multiple, 0);
      EXPECT_TRUE(size.height >= height && size.height < height + multiple);
      EXPECT_TRUE(size.width >= width && size.width < width + multiple);
      std::vector<float> planes(size_t(3) * size.height * size.width, -1e9f);
      normalize_into(image, input, size.height, size.width, planes);
      const float* value = planes.data();
      for (size_t c = 0; c < 3; ++c) {
        const auto mean = static_cast<float>(input.mean[c]), std = static_cast<float>(input.std[c]);
        for (int y = 0; y < size.height; ++y) {
          for (int x = 0; x < size.width; ++x, ++value) {
            float expected = 0;
            if (y < height && x < width) {
              const auto pixel = static_cast<float>(image.row(y)[3 * x + static_cast<int>(c)]);
              expected = static_cast<float>(static_cast<double>(pixel - mean) * (1.0 / std));
            }
            ASSERT_EQ(*value, expected) << c << ' ' << y << ' ' << x;
          }
        }
      }
    }
  }
}

TEST(NormalizeInto, Gray) {
  DenseInput input;
  input.mean = {100};
  input.std = {50};
  Image image(1, 2, 1);
  image.pixels = {0, 200};
  std::vector<float> planes(4);
  normalize_into(image, input, 2, 2, planes);
  EXPECT_EQ(planes, (std::vector<float>{-2, 2, 0, 0}));
}

TEST(NormalizeInto, MistakesAreErrors) {
  std::vector<float> planes(12);
  const auto refused = [&](ErrorCode code, const Image& image, int height, int width) {
    return test::error_of(code, [&] { normalize_into(image, {}, height, width, planes); });
  };
  EXPECT_NE(refused(ErrorCode::kMismatch, Image(2, 2, 1), 2, 2).find("1 channels"),
            std::string::npos);
  refused(ErrorCode::kInvalidArgument, Image(3, 2, 3), 2, 2);
  refused(ErrorCode::kInvalidArgument, Image(2, 3, 3), 2, 2);
  refused(ErrorCode::kInvalidArgument, Image(1, 1, 3), 2, 3);
}

}  // namespace
}  // namespace asmlp::cv_dense_input_test
