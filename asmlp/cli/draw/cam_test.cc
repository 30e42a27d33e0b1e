#include "asmlp/cli/draw/cam.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "asmlp/engine/engine.h"
#include "asmlp/image/decode.h"
#include "asmlp/model/params.h"
#include "asmlp/report/palette.h"
#include "asmlp/weights/fill.h"
#include "tests/support/support.h"

namespace asmlp::cli::cam_test {
namespace {

// The reason to call the map exact: on any model and image size its mean is the logit.
TEST(ClassActivationMap, MeanIsTheLogit) {
  ModelSpec spec;
  spec.config.in_chans = 1;
  spec.config.num_classes = 7;
  spec.config.embed_dim = 12;
  spec.config.depths = {1, 2};
  spec.config.patch_size = 2;
  spec.preprocessing = default_preprocessing(spec.config, 28);
  const TensorMap tensors = fill_parameters(spec.config);
  const auto model = PackedModel::create(spec, tensors);
  const std::vector<float> weight = to_f32(tensors.at("head.weight"));
  const std::vector<float> bias = to_f32(tensors.at("head.bias"));
  const size_t channels = static_cast<size_t>(spec.config.num_features());
  for (const auto& [height, width] : {std::pair{28, 28}, {9, 31}, {1, 1}}) {
    Engine engine(model, {.height = height, .width = width, .max_batch = 2});
    engine.run(to_f32(fill_tensor("input", {2, 1, height, width})), 2);
    const MapSize size = engine.final_map_size();
    const size_t length = static_cast<size_t>(size.h * size.w) * channels;
    for (size_t image = 0; image < 2; ++image) {
      for (size_t k = 0; k < 7; ++k) {
        const ActivationMap map =
            class_activation_map(engine.final_map().subspan(image * length, length), size,
                                 std::span(weight).subspan(k * channels, channels), bias[k]);
        ASSERT_EQ(map.values.size(), static_cast<size_t>(size.h * size.w));
        const double mean = std::accumulate(map.values.begin(), map.values.end(), 0.0) /
                            static_cast<double>(map.values.size());
        // Two summation orders of numbers of this size: a few rounding errors of the largest.
        EXPECT_NEAR(mean, engine.logits()[image * 7 + k], 2e-5);
      }
    }
  }
}

TEST(SampleMap, CentersKeepTheirValuesAndBetweenThemItIsLinear) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  ActivationMap map{3, 4, std::vector<float>(12)};
  for (float& value : map.values) value = normal(random);
  const int stride = 5;  // odd: a pixel lies on each center
  const std::vector<float> sampled = sample_map(map, stride, 15, 20);
  const auto at = [&](int y, int x) { return sampled[static_cast<size_t>(y * 20 + x)]; };
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 4; ++x) {
      EXPECT_NEAR(at(5 * y + 2, 5 * x + 2), map.values[static_cast<size_t>(4 * y + x)], 1e-6);
    }
  }
  for (int x = 2; x < 17; ++x) {
    if (x % 5 == 2) continue;
    EXPECT_NEAR(at(7, x - 1) + at(7, x + 1), 2 * at(7, x), 1e-5) << x;
  }
  EXPECT_EQ(at(0, 0), map.values[0]);  // constant beyond the centers
  EXPECT_EQ(at(14, 19), map.values[11]);
}

TEST(HeatColor, LightnessRisesEvenlyWithoutBands) {
  double last = -1;
  Color before = heat_color(0);
  for (int i = 0; i <= 200; ++i) {
    const Color c = heat_color(i / 200.0);
    const double luma = 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b;
    EXPECT_GT(luma, last - 0.35) << i;  // rounding to bytes
    if (i % 5 == 0) {
      EXPECT_GT(luma, last);
      last = luma;
    }
    EXPECT_LE(std::abs(c.r - before.r), 6) << i;
    EXPECT_LE(std::abs(c.g - before.g), 6) << i;
    EXPECT_LE(std::abs(c.b - before.b), 6) << i;
    before = c;
  }
  EXPECT_EQ(heat_color(-1), heat_color(0));
  EXPECT_EQ(heat_color(2), heat_color(1));
}

TEST(Oklch, GraysAndAKnownColor) {
  EXPECT_EQ(from_oklch(0, 0, 0), (Color{0, 0, 0}));
  EXPECT_EQ(from_oklch(1, 0, 0), (Color{255, 255, 255}));
  // sRGB red is L 0.62796, C 0.25768, h 29.234 in OKLCh.
  EXPECT_EQ(from_oklch(0.62796, 0.25768, 29.234), (Color{255, 0, 0}));
}

TEST(WriteCam, DrawsSmallImagesLargeAndSurvivesAnyName) {
  test::TemporaryFolder folder;
  CamPicture picture;
  picture.image = Image(28, 28, 1);
  picture.map = {1, 1, {3.0f}};  // a constant map has no range
  picture.label = "\xff broken \xe2\x82 text";
  picture.file = std::string(400, 'x');
  write_cam(folder.path() / "a.png", picture);
  const Image drawn = decode_image(folder.path() / "a.png");
  EXPECT_GE(drawn.width, 2 * 224);
  EXPECT_GE(drawn.height, 224);
}

}  // namespace
}  // namespace asmlp::cli::cam_test
