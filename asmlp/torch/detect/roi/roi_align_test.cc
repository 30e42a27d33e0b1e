#include "asmlp/torch/detect/roi/roi_align.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "asmlp/weights/safetensors.h"
#include "tests/support/boxes.h"
#include "tests/support/gradients.h"
#include "tests/support/support.h"

namespace asmlp::detect::roi_align_test {
namespace {

constexpr at::MemoryFormat kFormats[] = {at::MemoryFormat::Contiguous,
                                         at::MemoryFormat::ChannelsLast};

// RoIs around a map of 40 x 48 pixels: many reach outside.
torch::Tensor random_rois(int64_t count, int64_t images, at::ScalarType type = torch::kFloat) {
  const auto corner = torch::rand({count, 2}) * 60 - 10;
  const auto size = torch::pow(torch::rand({count, 2}), 2) * 60;
  const auto image = torch::randint(0, images, {count, 1}).to(torch::kFloat);
  return torch::cat({image, corner, corner + size}, 1).to(type);
}

TEST(RoiAlign, HasTorchvisionsFigures) {
  const auto file = read_safetensors(test::data("detect/roi_align.safetensors"));
  int cases = 0;
  for (const auto& [name, text] : file.metadata) {
    if (name == "made_by") continue;
    ++cases;
    const auto json = nlohmann::json::parse(text);
    const RoiAlignOptions options{json["bins"][0], json["bins"][1], json["sampling_ratio"]};
    const auto tensor = [&, &name = name](const std::string& part) {
      return golden(file.tensors, name + "." + part);
    };
    for (auto format : kFormats) {
      const auto map = tensor("map").contiguous(format).requires_grad_();
      const auto pooled = roi_align(map, json["scale"], tensor("rois"), options);
      // Both average numbers of size 5 at most; a position of 100 cells is rounded by 1e-5, which
      // moves a sample by that part of the difference of two cells.
      EXPECT_LT(max_difference(pooled, tensor("pooled")), 1e-4) << name;
      const auto d_map = torch::autograd::grad({pooled}, {map}, {tensor("d_pooled")})[0];
      const double magnitude = tensor("d_map").abs().max().item<double>();
      EXPECT_LT(max_difference(d_map, tensor("d_map")), 1e-4 * std::max(1.0, magnitude)) << name;
    }
  }
  EXPECT_EQ(cases, 5);
}

TEST(RoiAlign, ByHand) {
  // Cells 0 1 2 / 3 4 5 / 6 7 8 with centers at half pixels.
  const auto map = torch::arange(9).to(torch::kFloat).view({1, 1, 3, 3});
  const auto pool = [&](std::initializer_list<float> box, int64_t bins, int64_t samples) {
    const auto roi = torch::cat({torch::zeros({1, 1}), boxes_of(box)}, 1);
    return roi_align(map, 1, roi, {bins, bins, samples}).flatten();
  };
  EXPECT_TRUE(pool({0, 0, 3, 3}, 3, 1).equal(map.flatten()));
  EXPECT_TRUE(pool({1, 1, 2, 2}, 1, 1).equal(values_of({4})));
  EXPECT_TRUE(pool({0, 0, 3, 3}, 1, 0).equal(values_of({4})));           // mean of 3 x 3 samples
  EXPECT_TRUE(pool({0.5f, 1, 1.5f, 2}, 1, 1).equal(values_of({3.5f})));  // between two cells
  // At -1 cell from the first center a sample still counts, as the edge; beyond it does not.
  EXPECT_TRUE(pool({-0.5f, 1, -0.5f, 2}, 1, 1).equal(values_of({3})));
  EXPECT_TRUE(pool({-0.6f, 1, -0.6f, 2}, 1, 1).equal(values_of({0})));
  EXPECT_TRUE(pool({3.5f, 1, 3.5f, 2}, 1, 1).equal(values_of({5})));  // at the map's extent
  EXPECT_TRUE(pool({3.6f, 1, 3.6f, 2}, 1, 1).equal(values_of({0})));
  EXPECT_TRUE(pool({1, 1, 1, 2}, 1, 0).equal(values_of({0})));  // no width: no samples
  EXPECT_TRUE(pool({2, 1, 1, 2}, 1, 0).equal(values_of({0})));
}

// Several maps, both memory formats, channels around the width of a vector block, and fixed and
// adaptive samples, against dense matrices.
TEST(RoiAlign, KernelEqualsTheComposedForm) {
  torch::manual_seed(51);
  for (int i = 0; i < 48; ++i) {
    const auto type = i % 2 ? torch::kFloat64 : torch::kFloat32;
    const int64_t channels = std::vector<int64_t>{1, 3, 15, 16, 17, 64, 67, 130}[i / 2 % 8];
    const RoiAlignOptions options{1 + i % 7, 1 + i % 4, i % 3};
    std::vector<torch::Tensor> maps;
    for (int64_t level = 0; level < 3; ++level) {
      maps.push_back(torch::randn({2, channels, 10 >> level, 12 >> level}, type)
                         .contiguous(kFormats[(i / 3 + (i % 5 == 0) * level) % 2])
                         .requires_grad_());
    }
    const std::vector<double> scales{0.25, 0.125, 0.0625};
    const int64_t count = i % 11 == 10 ? 0 : 17;
    const auto rois = random_rois(count, 2, type);
    const auto levels = torch::randint(0, i % 6 == 5 ? 2 : 3, {count}, torch::kInt64);
    const auto pooled = roi_align(maps, scales, rois, levels, options);
    const auto expected = eager_roi_align(maps, scales, rois, levels, options);
    const double tolerance = type == torch::kFloat64 ? 1e-12 : 1e-4;
    EXPECT_LT(max_difference(pooled, expected), tolerance) << i;
    const auto d_pooled = torch::randn_like(pooled);
    const auto gradients = torch::autograd::grad({pooled}, maps, {d_pooled});
    const auto references = torch::autograd::grad({expected}, maps, {d_pooled});
    for (size_t level = 0; level < 3; ++level) {
      EXPECT_LT(max_difference(gradients[level], references[level]), 10 * tolerance) << i;
    }
  }
}

TEST(RoiAlign, FiniteDifferencesAgreeOnceAndTwice) {
  torch::manual_seed(52);
  const auto rois = random_rois(6, 2, torch::kFloat64);
  for (auto format : kFormats) {
    for (int64_t ratio : {0, 2}) {
      const auto pool = [&](const torch::Tensor& map) {
        return roi_align(map.contiguous(format), 0.125, rois, {3, 2, ratio});
      };
      const auto at = torch::randn({2, 3, 5, 6}, torch::kFloat64);
      EXPECT_LT(nn::gradient_error(pool, at), 1e-8);
      const auto gradient = [&](const torch::Tensor& map) {
        return torch::autograd::grad({pool(map).pow(3).sum()}, {map}, {}, true, true)[0];
      };
      EXPECT_LT(nn::gradient_error(gradient, at), 1e-6);
    }
  }
}

TEST(RoiAlign, HasTheSameBitsForAnyNumberOfThreads) {
  torch::manual_seed(53);
  const auto rois = random_rois(200, 2);
  for (auto format : kFormats) {
    const auto map = torch::randn({2, 70, 20, 24}).contiguous(format).requires_grad_();
    const auto d_pooled = torch::randn({200, 70, 7, 7});
    const auto both = [&] {
      const auto pooled = roi_align(map, 0.5, rois, {7, 7, 0});
      return std::pair(pooled, torch::autograd::grad({pooled}, {map}, {d_pooled})[0]);
    };
    const auto one = with_threads(1, both);
    for (int threads : {2, 3, 8}) {
      const auto many = with_threads(threads, both);
      EXPECT_TRUE(many.first.equal(one.first)) << threads;
      EXPECT_TRUE(many.second.equal(one.second)) << threads;
    }
    EXPECT_TRUE(one.first.is_contiguous(format));
    EXPECT_TRUE(one.second.is_contiguous(format));
  }
}

// A training step may have no positive RoI; its parameters still get a gradient.
TEST(RoiAlign, WithoutRoisIsStillPartOfTheGraph) {
  for (auto format : kFormats) {
    const auto map = torch::randn({1, 4, 5, 6}).contiguous(format).requires_grad_();
    const auto pooled = roi_align(map, 0.25, torch::zeros({0, 5}), {7, 7, 0});
    EXPECT_EQ(pooled.sizes(), torch::IntArrayRef({0, 4, 7, 7}));
    EXPECT_TRUE(torch::autograd::grad({pooled.sum()}, {map})[0].equal(torch::zeros_like(map)));
  }
}

TEST(RoiAlign, WidensHalfPrecision) {
  torch::manual_seed(54);
  const auto map = torch::randn({1, 4, 5, 6}).to(torch::kBFloat16).requires_grad_();
  const auto rois = random_rois(5, 1);
  const auto pooled = roi_align(map, 0.125, rois, {2, 2, 0});
  EXPECT_EQ(pooled.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(pooled.equal(roi_align(map.to(torch::kFloat), 0.125, rois, {2, 2, 0})));
  EXPECT_EQ(torch::autograd::grad({pooled.sum()}, {map})[0].scalar_type(), torch::kBFloat16);
}

TEST(RoiAlign, RefusesWhatDoesNotFit) {
  const auto map = torch::zeros({2, 3, 4, 5});
  const auto roi = [](float image, float x2) {
    return values_of({image, 0, 0, x2, 1}).view({1, 5});
  };
  EXPECT_THROW(roi_align(map, 1, roi(2, 1), {}), Error);
  EXPECT_THROW(roi_align(map, 1, roi(-1, 1), {}), Error);
  EXPECT_THROW(roi_align(map, 1, roi(NAN, 1), {}), Error);
  EXPECT_THROW(roi_align(map, 1, roi(0, NAN), {}), Error);
  EXPECT_THROW(roi_align(map, 1, roi(0, INFINITY), {}), Error);
  EXPECT_THROW(roi_align(map, 1, roi(0, 1e30f), {}), Error);
  EXPECT_THROW(roi_align(map, 1, torch::zeros({1, 4}), {}), Error);
  EXPECT_THROW(roi_align(map, 1, roi(0, 1), {0, 7, 0}), Error);
  EXPECT_THROW(roi_align(map[0], 1, roi(0, 1), {}), Error);
  EXPECT_THROW(roi_align({map}, {1}, roi(0, 1), indices_of({1}), {}), Error);
  EXPECT_THROW(roi_align({map}, {1, 2}, roi(0, 1), indices_of({0}), {}), Error);
  EXPECT_THROW(roi_align({map, map.to(torch::kDouble)}, {1, 2}, roi(0, 1), indices_of({0}), {}),
               Error);
}

}  // namespace
}  // namespace asmlp::detect::roi_align_test
