#include "asmlp/torch/detect/ops/nms.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "asmlp/weights/safetensors.h"
#include "tests/support/boxes.h"
#include "tests/support/support.h"

namespace asmlp::detect::nms_test {
namespace {

// The definition: every pair, one after the other.
torch::Tensor naive(const torch::Tensor& boxes, const torch::Tensor& scores, float threshold) {
  const int64_t count = boxes.size(0);
  const auto dense = boxes.contiguous();
  const auto* box = reinterpret_cast<const float(*)[4]>(dense.data_ptr<float>());
  std::vector<int64_t> order(count), kept;
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return scores[a].item<float>() > scores[b].item<float>();
  });
  const auto area = [&](int64_t i) { return (box[i][2] - box[i][0]) * (box[i][3] - box[i][1]); };
  for (int64_t i : order) {
    const bool dropped = std::ranges::any_of(kept, [&](int64_t k) {
      const float w = std::min(box[i][2], box[k][2]) - std::max(box[i][0], box[k][0]);
      const float h = std::min(box[i][3], box[k][3]) - std::max(box[i][1], box[k][1]);
      const float shared = std::max(0.0f, w) * std::max(0.0f, h);
      return shared / (area(k) + area(i) - shared) > threshold;
    });
    if (!dropped) kept.push_back(i);
  }
  return torch::tensor(kept, torch::kInt64);
}

// Small integers: equal scores, equal boxes and IoUs of exactly the threshold are frequent. The
// IoUs are then quotients of exact integers, whatever the compiler makes of the products.
TEST(Nms, IsItsDefinition) {
  std::mt19937 random(21);
  torch::manual_seed(21);
  for (int i = 0; i < 80; ++i) {
    const int64_t count = i % 10 == 0 ? 700 : random() % 150;
    const auto boxes = random_boxes(count, i % 2 ? 12 : 60, 1);
    const auto scores = torch::floor(torch::rand({count}) * 20) / 20;
    const float threshold = (random() % 5) * 0.25f;
    const auto expected = naive(boxes, scores, threshold);
    const auto kept = nms(boxes, scores, threshold);
    EXPECT_TRUE(kept.equal(expected)) << "seed 21, case " << i;
    EXPECT_TRUE(with_threads(1, [&] { return nms(boxes, scores, threshold); }).equal(kept));
    const int64_t limit = random() % 20;
    EXPECT_TRUE(nms(boxes, scores, threshold, limit).equal(expected.slice(0, 0, limit)));
  }
}

TEST(Nms, KeepsAtTheThreshold) {
  const auto boxes = boxes_of({0, 0, 2, 2, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0});
  const auto scores = values_of({0.5f, 0.9f, 0.5f, 0.5f});
  EXPECT_TRUE(nms(boxes, scores, 0.5).equal(indices_of({1, 0, 2, 3})));
  EXPECT_TRUE(nms(boxes, scores, 0.49).equal(indices_of({1, 2, 3})));
}

TEST(Nms, HasTorchvisionsFigures) {
  const auto file = read_safetensors(test::data("detect/boxes.safetensors"));
  const auto boxes = golden(file.tensors, "nms.boxes"), scores = golden(file.tensors, "nms.scores");
  const auto classes = golden(file.tensors, "nms.classes");
  for (int percent : {30, 50, 70}) {
    const auto name = std::to_string(percent);
    EXPECT_TRUE(
        nms(boxes, scores, percent / 100.0).equal(golden(file.tensors, "nms.kept." + name)));
    EXPECT_TRUE(batched_nms(boxes, scores, classes, percent / 100.0)
                    .equal(golden(file.tensors, "nms.kept_by_class." + name)));
  }
}

// Both routes of batched_nms are the suppression of each class by itself. (On the grid the shift of
// a class is exact.)
TEST(Nms, ByClass) {
  torch::manual_seed(22);
  for (int64_t count : {9999, 10000, 15000}) {
    const auto boxes = random_boxes(count, 256, 4);
    const auto scores = torch::floor(torch::rand({count}) * 5000) / 5000;
    const auto classes = torch::randint(0, 7, {count}, torch::kInt64);
    auto keep = torch::zeros({count}, torch::kBool);
    for (int64_t c = 0; c < 7; ++c) {
      const auto members = (classes == c).nonzero().squeeze(1);
      const auto kept = nms(boxes.index_select(0, members), scores.index_select(0, members), 0.5);
      keep.index_fill_(0, members.index_select(0, kept), true);
    }
    const auto all = keep.nonzero().squeeze(1);
    const auto order =
        std::get<1>(scores.index_select(0, all).sort(/*stable=*/true, 0, /*descending=*/true));
    const auto expected = all.index_select(0, order);
    const auto kept = with_threads(2, [&] { return batched_nms(boxes, scores, classes, 0.5); });
    EXPECT_TRUE(kept.equal(expected)) << count;
    EXPECT_TRUE(
        with_threads(1, [&] { return batched_nms(boxes, scores, classes, 0.5); }).equal(kept));
    EXPECT_TRUE(batched_nms(boxes, scores, classes, 0.5, 100).equal(expected.slice(0, 0, 100)));
  }
}

// Beyond 2^24 the numbers are 2 apart: moved by 2 (2^24 - 1), [0, 1] and [0.5, 1.5] both become
// [0, 2], and boxes that shared a seventh are one.
TEST(Nms, ClassesAreMovedInFp32) {
  const auto boxes = boxes_of({0, 0, 1, 1, 0.5f, 0.5f, 1.5f, 1.5f, 0, 0, 16777214, 1});
  const auto scores = values_of({0.9f, 0.8f, 0.7f});
  EXPECT_TRUE(batched_nms(boxes, scores, indices_of({2, 2, 0}), 0.5).equal(indices_of({0, 2})));
  EXPECT_TRUE(batched_nms(boxes, scores, indices_of({0, 0, 2}), 0.5).equal(indices_of({0, 1, 2})));
}

TEST(Nms, OfNothing) {
  EXPECT_EQ(nms(torch::zeros({0, 4}), torch::zeros({0}), 0.5).sizes(), torch::IntArrayRef({0}));
  EXPECT_EQ(batched_nms(torch::zeros({0, 4}), torch::zeros({0}), indices_of({}), 0.5).size(0), 0);
}

TEST(Nms, RefusesWhatDoesNotFit) {
  EXPECT_THROW(nms(torch::zeros({2, 4}), torch::zeros({3}), 0.5), Error);
  EXPECT_THROW(nms(torch::zeros({2, 4}), torch::zeros({2}), -0.5), Error);
  EXPECT_THROW(nms(torch::zeros({2, 4}), torch::zeros({2}), 0.5, -2), Error);
  EXPECT_THROW(batched_nms(torch::zeros({2, 4}), torch::zeros({2}), indices_of({1}), 0.5), Error);
  EXPECT_THROW(batched_nms(torch::zeros({2, 4}), torch::zeros({2}), indices_of({1, -1}), 0.5),
               Error);
}

}  // namespace
}  // namespace asmlp::detect::nms_test
