#include "asmlp/torch/detect/ops/box_coder.h"

#include <gtest/gtest.h>

#include "asmlp/torch/detect/ops/spans.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/boxes.h"
#include "tests/support/gradients.h"
#include "tests/support/support.h"

namespace asmlp::detect::box_coder_test {
namespace {

const BoxCoder kHead{.means = {0, 0, 0, 0}, .stds = {0.1f, 0.1f, 0.2f, 0.2f}};

TEST(BoxCoder, ByHand) {
  // From 10 x 20 around (15, 20) to 20 x 20 around (20, 15).
  const auto box = boxes_of({10, 10, 20, 30}), target = boxes_of({10, 5, 30, 25});
  const auto deltas = encode({}, box, target);
  EXPECT_LT(max_difference(deltas, boxes_of({0.5f, -0.25f, std::log(2.0f), 0})), 1e-6);
  const auto scaled = encode(kHead, box, target);
  EXPECT_LT(max_difference(scaled, boxes_of({5, -2.5f, 5 * std::log(2.0f), 0})), 1e-5);
  EXPECT_LT(max_difference(decode(kHead, box, scaled), target), 1e-4);
  const BoxCoder moved{.means = {0.5f, 0, 0, 0}, .stds = {1, 1, 1, 1}};
  EXPECT_TRUE(decode(moved, box, torch::zeros({1, 4})).equal(boxes_of({15, 10, 25, 30})));
}

TEST(BoxCoder, ZeroDeltasAreTheBox) {
  const auto boxes = boxes_of({10, 10, 20, 30, -4, 0, 12, 6});
  EXPECT_TRUE(decode(kHead, boxes, torch::zeros({2, 8})).equal(torch::cat({boxes, boxes}, 1)));
}

TEST(BoxCoder, OnlySizesAreLimitedAndOnlyOnRequestClipped) {
  const auto box = boxes_of({0, 0, 16, 16});
  // exp(+-4.135...) = 62.5 and its inverse; dx = 1000 stays.
  const auto grown = decode({}, box, boxes_of({0, 0, 50, -50}));
  EXPECT_LT(max_difference(grown, boxes_of({8 - 500, 8 - 0.128f, 8 + 500, 8 + 0.128f})), 1e-3);
  const auto far = decode({}, box, boxes_of({1000, 0, 0, 0}));
  EXPECT_TRUE(far.equal(boxes_of({16000, 0, 16016, 16})));
  EXPECT_TRUE(decode({}, box, boxes_of({1000, -1000, 0, 0}), ImageSize{50, 100})
                  .equal(boxes_of({100, 0, 100, 0})));
  const auto edges = decode({}, box, boxes_of({0, 0, 2, 2}), ImageSize{10, 12});
  EXPECT_TRUE(edges.equal(boxes_of({0, 0, 12, 10})));
}

TEST(BoxCoder, HasTorchvisionsFigures) {
  const auto file = read_safetensors(test::data("detect/boxes.safetensors"));
  const auto first = golden(file.tensors, "pairs.first");
  const auto encoded = encode(kHead, first, golden(file.tensors, "pairs.second"));
  // Offsets of up to 200 pixels in boxes of 2 or more, over 0.1: 1000, rounded a few times by 6e-8.
  EXPECT_LT(max_difference(encoded, golden(file.tensors, "coder.encoded")), 3e-4);
  const auto decoded = decode(kHead, first, golden(file.tensors, "coder.deltas"));
  EXPECT_LT(max_difference(decoded, golden(file.tensors, "coder.decoded")), 2e-4);
}

// The plain function and the one with gradients are the same but for the rounding of exp().
TEST(BoxCoder, IsThatOfPlainBoxes) {
  torch::manual_seed(4);
  const auto boxes = random_boxes(500, 400, 0.3), deltas = torch::randn({500, 4}) * 8;
  const ImageSize image{300, 350};
  const auto clipped = decode(kHead, boxes, deltas, image), free = decode(kHead, boxes, deltas);
  for (size_t i = 0; i < 500; ++i) {
    const float* delta = deltas.data_ptr<float>() + 4 * i;
    const Box box = boxes_in(boxes)[i];
    const auto row = static_cast<int64_t>(i);
    const Box plain[]{decode(kHead, box, delta, &image), decode(kHead, box, delta, nullptr)};
    EXPECT_LT(max_difference(tensor_of(plain), torch::stack({clipped[row], free[row]})),
              3000 * 4 * 6e-8);
  }
}

TEST(BoxCoder, RoundTripAndGradient) {
  torch::manual_seed(3);
  const auto boxes =
      random_boxes(50, 100, 0.5).to(torch::kDouble) + torch::tensor({0., 0., 1., 1.});
  const auto targets =
      random_boxes(50, 100, 0.5).to(torch::kDouble) + torch::tensor({0., 0., 9., 9.});
  const auto deltas = encode(kHead, boxes, targets);
  EXPECT_LT(max_difference(decode(kHead, boxes, deltas), targets), 1e-10);
  const auto few = boxes.slice(0, 0, 5);
  EXPECT_LT(nn::gradient_error(
                [&](const torch::Tensor& d) {
                  return decode(kHead, few, d, ImageSize{70, 70});
                },
                torch::randn({5, 8}, torch::kDouble)),
            1e-6);
}

TEST(BoxCoder, PicksTheBoxOfAClass) {
  const auto values = torch::arange(24).view({2, 12});
  EXPECT_TRUE(of_class(values, indices_of({2, 0}))
                  .equal(indices_of({8, 9, 10, 11, 12, 13, 14, 15}).view({2, 4})));
  EXPECT_EQ(of_class(torch::zeros({0, 12}), indices_of({})).sizes(), torch::IntArrayRef({0, 4}));
  EXPECT_EQ(decode({}, torch::zeros({0, 4}), torch::zeros({0, 12})).sizes(),
            torch::IntArrayRef({0, 12}));
}

TEST(BoxCoder, RefusesShapesThatDoNotFit) {
  const auto box = boxes_of({0, 0, 1, 1});
  EXPECT_THROW(encode({}, box, torch::zeros({2, 4})), Error);
  EXPECT_THROW(decode({}, box, torch::zeros({1, 6})), Error);
  EXPECT_THROW(decode({}, torch::zeros({1, 5}), torch::zeros({1, 4})), Error);
  EXPECT_THROW(of_class(torch::zeros({1, 8}), indices_of({0, 1})), Error);
}

}  // namespace
}  // namespace asmlp::detect::box_coder_test
