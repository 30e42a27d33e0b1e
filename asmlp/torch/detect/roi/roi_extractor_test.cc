#include "asmlp/torch/detect/roi/roi_extractor.h"

#include <gtest/gtest.h>

#include "tests/support/boxes.h"

namespace asmlp::detect::roi_extractor_test {
namespace {

TEST(RoiExtractor, LevelsChangeAtPowersOfTwoTimes56) {
  std::vector<float> sides{0, 1, 56, 111.9f, 112, 223.9f, 224, 447, 448, 896, 5000};
  auto boxes = torch::zeros({static_cast<int64_t>(sides.size()), 4});
  boxes.select(1, 2).copy_(torch::tensor(sides));
  boxes.select(1, 3).copy_(torch::tensor(sides));
  EXPECT_TRUE(roi_levels(boxes, 4).equal(indices_of({0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3})));
  EXPECT_TRUE(roi_levels(boxes, 2).equal(indices_of({0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1})));
  // sqrt(w h) counts, not the longer side; 1e-6 of 56 pixels below the edge is still above it.
  EXPECT_TRUE(roi_levels(boxes_of({10, 10, 38, 458, 0, 0, 111.99999f, 112, 5, 5, 1, 9}), 4)
                  .equal(indices_of({1, 1, 0})));
}

TEST(RoiExtractor, LevelsAreThoseOfLibTorchsArithmetic) {
  torch::manual_seed(72);
  const auto boxes = random_boxes(20000, 1333, 0.01);
  const auto edge = boxes.unbind(1);
  const auto size = torch::sqrt((edge[2] - edge[0]) * (edge[3] - edge[1]));
  const auto level = torch::floor(torch::log2(size / 56.0 + 1e-6)).clamp(0, 3).to(torch::kInt64);
  EXPECT_TRUE(roi_levels(boxes, 4).equal(level));
}

TEST(RoiExtractor, JoinsTheImages) {
  const auto rois = rois_of({boxes_of({1, 2, 3, 4}), torch::zeros({0, 4}), boxes_of({5, 6, 7, 8})});
  EXPECT_TRUE(rois.equal(values_of({0, 1, 2, 3, 4, 2, 5, 6, 7, 8}).view({2, 5})));
  EXPECT_THROW(rois_of({}), Error);
}

// Every level's map holds its number, channel 1 also the image's: the order of RoIs is kept.
TEST(RoiExtractor, TakesEveryRoiFromItsLevel) {
  std::vector<torch::Tensor> maps;
  std::vector<int64_t> strides{4, 8, 16, 32};
  for (int64_t level = 0; level < 4; ++level) {
    auto map = torch::full({2, 2, 512 / strides[level], 512 / strides[level]}, level);
    map.select(1, 1).add_(10 * torch::arange(2).view({2, 1, 1}));
    maps.push_back(map.to(torch::kFloat).contiguous(at::MemoryFormat::ChannelsLast));
  }
  const auto rois = rois_of({boxes_of({8, 8, 458, 458, 8, 8, 20, 20, 100, 100, 330, 330}),
                             boxes_of({40, 40, 160, 160, 8, 8, 20, 20})});
  const auto pooled = extract_rois(maps, strides, rois, {2, 2, 0});
  const auto levels = values_of({3, 0, 2, 1, 0});
  const auto images = rois.select(1, 0);
  EXPECT_LT(max_difference(pooled.select(1, 0), levels.view({5, 1, 1}).expand({5, 2, 2})), 1e-5);
  EXPECT_LT(
      max_difference(pooled.select(1, 1), (levels + 10 * images).view({5, 1, 1}).expand({5, 2, 2})),
      1e-4);
  EXPECT_THROW(extract_rois(maps, {4, 8, 16}, rois, {}), Error);
  EXPECT_THROW(extract_rois(maps, {4, 8, 16, 0}, rois, {}), Error);
}

}  // namespace
}  // namespace asmlp::detect::roi_extractor_test
