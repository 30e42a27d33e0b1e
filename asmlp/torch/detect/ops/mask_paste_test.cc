#include "asmlp/torch/detect/ops/mask_paste.h"

#include <gtest/gtest.h>

#include "tests/support/boxes.h"

namespace asmlp::detect::mask_paste_test {
namespace {

// The whole image through LibTorch's grid_sample, in fp64.
torch::Tensor sampled(const torch::Tensor& mask, const torch::Tensor& box, ImageSize image) {
  namespace F = torch::nn::functional;
  const auto edge = box.to(torch::kDouble);
  const auto along = [&](int64_t pixels, int axis) {
    const auto center = torch::arange(pixels, torch::kDouble) + 0.5;
    const auto u = (center - edge[axis]) / (edge[axis + 2] - edge[axis]) * 2 - 1;
    return torch::where(u.isinf(), torch::zeros_like(u), u);
  };
  const auto x = along(image.width, 0).unsqueeze(0).expand({image.height, image.width});
  const auto y = along(image.height, 1).unsqueeze(1).expand({image.height, image.width});
  return F::grid_sample(mask.to(torch::kDouble).view({1, 1, mask.size(0), mask.size(1)}),
                        torch::stack({x, y}, 2).unsqueeze(0),
                        F::GridSampleFuncOptions()
                            .mode(torch::kBilinear)
                            .padding_mode(torch::kZeros)
                            .align_corners(false))[0][0];
}

// P x height x width, bool.
torch::Tensor decoded(const std::vector<MaskRle>& masks, ImageSize image) {
  auto all =
      torch::empty({static_cast<int64_t>(masks.size()), image.height, image.width}, torch::kUInt8);
  for (size_t i = 0; i < masks.size(); ++i) {
    EXPECT_EQ(masks[i].height, image.height);
    EXPECT_EQ(masks[i].width, image.width);
    const std::vector<uint8_t> pixels = decode_mask(masks[i]);
    std::ranges::copy(pixels, all[static_cast<int64_t>(i)].data_ptr<uint8_t>());
  }
  return all.to(torch::kBool);
}

// Boxes inside, over the edges, outside and larger than the image, of every size; masks that are
// smooth as a network's, and not square.
TEST(MaskPaste, IsGridSampleWithinTheBox) {
  torch::manual_seed(81);
  const ImageSize image{40, 56};
  const int64_t count = 60;
  const auto masks = torch::sigmoid(torch::avg_pool2d(torch::randn({count, 28, 20}), 5, 1, 2) * 8);
  const auto boxes =
      torch::cat({random_boxes(count - 6, 60, 0.37) - 8 + values_of({0, 0, 0.5f, 0.5f}),
                  boxes_of({-30,  -30,  90,   80,   0,  0,  56, 40, 70, 10, 80, 20,
                            3.2f, 3.3f, 3.4f, 3.5f, -9, -9, -3, -3, 20, 10, 21, 39})});
  const std::vector<MaskRle> runs = paste_masks(masks, boxes, image);
  ASSERT_EQ(static_cast<int64_t>(runs.size()), count);
  const auto pasted = decoded(runs, image);
  int64_t set = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto value = sampled(masks[i], boxes[i], image);
    // Positions of 2^6 pixels are rounded by 4e-6, in boxes of 0.5 pixels and 28 cells: 2e-4 cells.
    const auto clear = (value - 0.5).abs() > 1e-3;
    EXPECT_TRUE(((value >= 0.5).eq(pasted[i]) | clear.logical_not()).all().item<bool>()) << i;
    set += pasted[i].sum().item<int64_t>();
  }
  EXPECT_GT(set, 2000);
  EXPECT_EQ(with_threads(1, [&] { return paste_masks(masks, boxes, image); }), runs);
}

TEST(MaskPaste, ByHand) {
  const auto full = torch::ones({1, 2, 2});
  // Pixels 1 and 2 are mask cells; from there the mask falls to 0 at the center of the next pixel.
  const auto pasted = decoded(paste_masks(full, boxes_of({1, 1, 3, 3}), {5, 5}), {5, 5});
  auto expected = torch::zeros({1, 5, 5}, torch::kBool);
  expected.slice(1, 1, 3).slice(2, 1, 3).fill_(true);
  EXPECT_TRUE(pasted.equal(expected));
  const auto area = [](const torch::Tensor& mask, double threshold) {
    return mask_area(paste_masks(mask, boxes_of({0, 0, 2, 2}), {2, 2}, threshold).at(0));
  };
  // At the threshold a pixel is set: cells of 0.5.
  EXPECT_EQ(area(full * 0.5, 0.5), 4);
  EXPECT_EQ(area(full * 0.49, 0.5), 0);
  EXPECT_EQ(area(full * 0.49, 0.4), 4);
}

TEST(MaskPaste, EmptyAndWrongArguments) {
  EXPECT_TRUE(paste_masks(torch::zeros({0, 28, 28}), torch::zeros({0, 4}), {5, 6}).empty());
  const auto mask = torch::ones({1, 2, 2});
  // A box without width takes the middle of the mask, as the reference does.
  const std::vector<MaskRle> line = paste_masks(mask, boxes_of({2, 0, 2, 4}), {4, 4});
  EXPECT_TRUE(decoded(line, {4, 4})[0][1][1].item<bool>());
  // An image of a hundred million pixels, of which four are looked at; and one beyond it.
  const std::vector<MaskRle> large = paste_masks(
      torch::ones({2, 2, 2}), boxes_of({9000, 500, 9002, 502, -20, 3, -10, 9}), {10000, 10000});
  EXPECT_EQ(large[0].counts, (std::vector<uint32_t>{90000500, 2, 9998, 2, 9989498}));
  EXPECT_EQ(large[1].counts, std::vector<uint32_t>{100000000});
  EXPECT_THROW(paste_masks(mask, boxes_of({0, 0, NAN, 1}), {4, 4}), Error);
  EXPECT_THROW(paste_masks(mask, torch::zeros({2, 4}), {4, 4}), Error);
  EXPECT_THROW(paste_masks(mask, boxes_of({0, 0, 1, 1}), {0, 4}), Error);
  EXPECT_THROW(paste_masks(mask, boxes_of({0, 0, 1, 1}), {kMaxMaskSide + 1, 4}), Error);
  EXPECT_THROW(paste_masks(mask, boxes_of({0, 0, 1, 1}), {4, 4}, 0), Error);
}

}  // namespace
}  // namespace asmlp::detect::mask_paste_test
