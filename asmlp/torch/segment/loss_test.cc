#include "asmlp/torch/segment/loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/modules.h"
#include "tests/support/weight_files.h"

namespace asmlp::segment::loss_test {
namespace {

using nn::filled;

SegmentorConfig config_of(int classes) {
  SegmentorConfig config;
  config.num_classes = classes;
  return config;
}

// labels[n][y][x] out of 0..classes-1 and 255.
torch::Tensor some_labels(int64_t n, int64_t h, int64_t w, int classes) {
  const auto values = torch::arange(n * h * w).view({n, h, w}) * 7 % (classes + 1);
  return torch::where(values == classes, torch::full_like(values, 255), values).to(torch::kUInt8);
}

// Bilinear without aligned corners, in double: what the map says at the center of pixel `at`.
double sampled(const torch::Tensor& map, int64_t y, int64_t x, int64_t h, int64_t w) {
  const auto values = map.accessor<float, 2>();
  const auto place = [](int64_t at, int64_t in, int64_t out) {
    return std::max(0.0, (double(at) + 0.5) * double(in) / double(out) - 0.5);
  };
  const double fy = place(y, map.size(0), h), fx = place(x, map.size(1), w);
  double sum = 0;
  for (const int64_t dy : {0, 1}) {
    for (const int64_t dx : {0, 1}) {
      const int64_t sy = std::min(int64_t(fy) + dy, map.size(0) - 1);
      const int64_t sx = std::min(int64_t(fx) + dx, map.size(1) - 1);
      const double wy = dy ? fy - std::floor(fy) : 1 - fy + std::floor(fy);
      const double wx = dx ? fx - std::floor(fx) : 1 - fx + std::floor(fx);
      sum += wy * wx * values[sy][sx];
    }
  }
  return sum;
}

struct Expected {
  double loss = 0, accuracy = 0;
};

Expected expected(const torch::Tensor& logits, const torch::Tensor& labels) {
  const int64_t n = labels.size(0), h = labels.size(1), w = labels.size(2), c = logits.size(1);
  double sum = 0, right = 0, counted = 0;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t y = 0; y < h; ++y) {
      for (int64_t x = 0; x < w; ++x) {
        const int label = labels[i][y][x].item<int>();
        if (label == 255) continue;
        double total = 0, own = 0, best = -1e9;
        int at = 0;
        for (int64_t k = 0; k < c; ++k) {
          const double value = sampled(logits[i][k], y, x, h, w);
          total += std::exp(value);
          if (k == label) own = value;
          if (value > best) best = value, at = int(k);
        }
        sum += std::log(total) - own;
        right += at == label;
        ++counted;
      }
    }
  }
  return {sum / double(n * h * w), 100 * right / counted};
}

TEST(SegmentationLosses, AreTheDefinitionPixelByPixel) {
  const SegmentorOutput output{filled("a", {2, 3, 5, 4}) * 4, filled("b", {2, 3, 3, 2}) * 4};
  const torch::Tensor labels = some_labels(2, 17, 15, 3);
  const SegmentationLoss loss = losses(output, labels, config_of(3));
  const Expected decode = expected(output.decode, labels);
  const double auxiliary = 0.4 * expected(output.auxiliary, labels).loss;
  EXPECT_NEAR(loss.decode.item<double>(), decode.loss, 1e-5 * decode.loss);
  EXPECT_NEAR(loss.auxiliary.item<double>(), auxiliary, 1e-5 * auxiliary);
  EXPECT_NEAR(loss.total().item<double>(), decode.loss + auxiliary, 1e-5);
  EXPECT_NEAR(loss.accuracy.item<double>(), decode.accuracy, 100.0 / labels.numel());
  const SegmentationLoss evaluated = losses({output.decode, {}}, labels, config_of(3));
  EXPECT_FALSE(evaluated.auxiliary.defined());
  EXPECT_EQ(evaluated.total().item<float>(), loss.decode.item<float>());
}

// Ignored pixels count in the denominator: padding lowers the loss. They have no gradient.
TEST(SegmentationLosses, IgnoredPixelsAddNothing) {
  const auto logits = filled("a", {1, 4, 8, 8}).requires_grad_();
  torch::Tensor labels = some_labels(1, 8, 8, 4);
  labels.masked_fill_(labels == 255, 0);
  const double whole = losses({logits, {}}, labels, config_of(4)).decode.item<double>();
  torch::Tensor upper = labels.clone(), lower = labels.clone();
  upper.narrow(1, 4, 4).fill_(255);
  lower.narrow(1, 0, 4).fill_(255);
  const auto of_upper = losses({logits, {}}, upper, config_of(4)).decode;
  const double of_lower = losses({logits, {}}, lower, config_of(4)).decode.item<double>();
  EXPECT_NEAR(of_upper.item<double>() + of_lower, whole, 1e-6);
  of_upper.backward();
  EXPECT_EQ(logits.grad().narrow(2, 4, 4).abs().max().item<float>(), 0);
  EXPECT_GT(logits.grad().narrow(2, 0, 4).abs().min().item<float>(), 0);
  const SegmentationLoss none =
      losses({logits, {}}, torch::full({1, 8, 8}, 255, torch::kUInt8), config_of(4));
  EXPECT_EQ(none.decode.item<float>(), 0);
  EXPECT_EQ(none.accuracy.item<float>(), 0);
}

// With weights the loss is the weighted sum of what each class's pixels add.
TEST(SegmentationLosses, ClassesHaveTheirWeights) {
  const SegmentorOutput output{filled("a", {2, 3, 5, 4}) * 4, filled("b", {2, 3, 3, 2}) * 4};
  const torch::Tensor labels = some_labels(2, 17, 15, 3);
  SegmentorConfig config = config_of(3);
  const std::vector<double> weights{0.25, 0, 3};
  double decode = 0, auxiliary = 0;
  for (int k = 0; k < 3; ++k) {
    const auto own = torch::where(labels == k, labels, torch::full_like(labels, 255));
    const SegmentationLoss part = losses(output, own, config);
    decode += weights[size_t(k)] * part.decode.item<double>();
    auxiliary += weights[size_t(k)] * part.auxiliary.item<double>();
  }
  config.class_weights = weights;
  const SegmentationLoss loss = losses(output, labels, config);
  EXPECT_NEAR(loss.decode.item<double>(), decode, 1e-5 * decode);
  EXPECT_NEAR(loss.auxiliary.item<double>(), auxiliary, 1e-5 * auxiliary);
}

// fp32 on CPU has a kernel of its own; in double the loss is eager of ATen's operators.
TEST(SegmentationLosses, TheKernelEqualsTheOperators) {
  struct Case {
    int64_t images, classes, h, w, height, width;
  };
  for (const Case& c :
       {Case{2, 3, 5, 4, 17, 15}, Case{1, 11, 40, 40, 160, 160}, Case{2, 150, 16, 9, 130, 70},
        Case{1, 1, 1, 1, 3, 200}, Case{3, 7, 6, 8, 6, 8}, Case{1, 4, 9, 30, 4, 11}}) {
    SCOPED_TRACE(
        fmt::format("{} classes, {} x {} to {} x {}", c.classes, c.h, c.w, c.height, c.width));
    const auto labels = some_labels(c.images, c.height, c.width, int(c.classes));
    SegmentorConfig config = config_of(int(c.classes));
    for (const bool weighted : {false, true}) {
      if (weighted) {
        for (int k = 0; k < c.classes; ++k) config.class_weights.push_back(0.25 * (k % 4));
      }
      const auto logits = (filled("a", {c.images, c.classes, c.h, c.w}) * 30).requires_grad_();
      const auto exact = logits.detach().to(torch::kDouble).requires_grad_();
      const SegmentationLoss loss = losses({logits, {}}, labels, config);
      const SegmentationLoss eager = losses({exact, {}}, labels, config);
      const double value = eager.decode.item<double>();
      EXPECT_NEAR(loss.decode.item<double>(), value, 1e-6 * std::max(1.0, value));
      EXPECT_NEAR(loss.accuracy.item<double>(), eager.accuracy.item<double>(), 1e-4);
      (loss.decode * 1000).backward();
      (eager.decode * 1000).backward();
      const double largest = exact.grad().abs().max().item<double>();
      EXPECT_LT((logits.grad() - exact.grad()).abs().max().item<double>(), 2e-6 * largest + 1e-12);
    }
  }
}

TEST(SegmentationLosses, TheKernelDoesNotDependOnTheThreads) {
  const auto labels = some_labels(2, 200, 90, 5);
  const auto gradient = [&](int threads) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    const auto logits = (filled("a", {2, 5, 25, 12}) * 4).requires_grad_();
    losses({logits, {}}, labels, config_of(5)).decode.backward();
    at::set_num_threads(before);
    return logits.grad();
  };
  EXPECT_TRUE(gradient(1).equal(gradient(3)));
}

TEST(SegmentationLosses, WrongLabelsAreNamed) {
  const SegmentorOutput output{filled("a", {1, 3, 4, 4}), {}};
  const auto refused = [&](const torch::Tensor& labels, const std::vector<std::string>& words) {
    test::expect_words(
        test::error_of(ErrorCode::kInvalidArgument, [&] { losses(output, labels, config_of(3)); }),
        words);
  };
  refused(torch::full({1, 4, 4}, 3, torch::kUInt8), {"label 3", "3 classes"});
  refused(torch::zeros({2, 4, 4}, torch::kUInt8), {"must be uint8 {1, height, width}"});
  refused(torch::zeros({1, 4, 4}), {"must be uint8"});
}

}  // namespace
}  // namespace asmlp::segment::loss_test
