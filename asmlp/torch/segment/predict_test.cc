#include "asmlp/torch/segment/predict.h"

#include <gtest/gtest.h>

#include <set>

#include "asmlp/torch/data/augment/random.h"
#include "asmlp/torch/data/dense_input.h"
#include "asmlp/torch/nn/conv_module.h"
#include "tests/support/modules.h"
#include "tests/support/segmentors.h"
#include "tests/support/weight_files.h"

namespace asmlp::segment::predict_test {
namespace {

// Smooth, with some noise: classes come in regions.
Image some_picture(int height, int width) {
  Image image(height, width, 3);
  data::Random random(uint64_t(height) * 1000 + uint64_t(width));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const double wave = std::sin(0.09 * (c + 1) * y + 0.07 * x) * std::cos(0.11 * x - c);
        image.row(y)[3 * x + c] = uint8_t(127 + 100 * wave + double(random.below(20)));
      }
    }
  }
  return image;
}

torch::Tensor resized(const torch::Tensor& map, int64_t height, int64_t width) {
  return torch::upsample_bilinear2d(map, {height, width}, false);
}

// Everything at once, as mmseg's slide_inference says.
torch::Tensor slide(SegmentorNet& net, const torch::Tensor& image, const SlidingWindow& window) {
  const int64_t h = image.size(2), w = image.size(3), crop = window.crop, stride = window.stride;
  const auto sum = torch::zeros({1, net->config().num_classes, h, w});
  const auto count = torch::zeros({1, 1, h, w});
  for (int64_t i = 0; i < std::max<int64_t>(h - crop + stride - 1, 0) / stride + 1; ++i) {
    for (int64_t j = 0; j < std::max<int64_t>(w - crop + stride - 1, 0) / stride + 1; ++j) {
      const int64_t bottom = std::min(i * stride + crop, h), right = std::min(j * stride + crop, w);
      const int64_t top = std::max<int64_t>(bottom - crop, 0);
      const int64_t left = std::max<int64_t>(right - crop, 0);
      const auto part = [&](const torch::Tensor& t) {
        return t.narrow(2, top, bottom - top).narrow(3, left, right - left);
      };
      part(sum) += resized(net(part(image)).decode, bottom - top, right - left);
      part(count) += 1;
    }
  }
  return sum / count;
}

// num_classes x H x W, of one view its logits, of several the mean of the probabilities.
torch::Tensor straightforward(SegmentorNet& net, const Image& picture, const DenseInput& input,
                              const PredictOptions& options) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> views;
  for (const double ratio : {0.5, 0.75, 1.0, 1.25, 1.5, 1.75}) {
    if (!options.multi_scale && ratio != 1) continue;
    for (const bool mirrored : {false, true}) {
      if (mirrored && !options.flip) continue;
      CvSize size = fitted_size(picture.height, picture.width, int(input.short_side * ratio),
                                int(input.long_side * ratio));
      if (options.full_size) {
        size = {int(std::lround(picture.height * ratio)), int(std::lround(picture.width * ratio))};
      }
      torch::Tensor image = data::normalized(resize_bilinear(picture, size), input).unsqueeze(0);
      if (mirrored) image = image.flip({3}).contiguous();
      torch::Tensor logits = options.sliding ? slide(net, image, *options.sliding)
                                             : resized(net(image).decode, size.height, size.width);
      logits = resized(logits, picture.height, picture.width);
      if (mirrored) logits = logits.flip({3});
      views.push_back(logits);
    }
  }
  if (views.size() == 1) return views[0].squeeze(0);
  for (auto& view : views) view = view.softmax(1);
  return torch::stack(views).mean(0).squeeze(0);
}

// The labels are those of the largest values, but where rounding may decide.
void expect_labels(const Image& labels, const torch::Tensor& values, const std::string& what) {
  ASSERT_EQ(values.size(1), labels.height) << what;
  ASSERT_EQ(values.size(2), labels.width) << what;
  const auto [best, order] = values.topk(2, 0);
  const auto tolerance = 1e-5 * (values.max() - values.min()).item<double>();
  const auto actual = torch::from_blob(const_cast<uint8_t*>(labels.pixels.data()),
                                       {labels.height, labels.width}, torch::kUInt8)
                          .to(torch::kInt64);
  const auto different = actual != order[0];
  const auto close = (best[0] - best[1]) < tolerance;
  EXPECT_EQ((different & ~close).sum().item<int64_t>(), 0) << what;
  EXPECT_LT(close.sum().item<int64_t>(), 1 + labels.height * labels.width / 100) << what;
}

TEST(Predict, EqualsTheStraightforwardComputation) {
  SegmentorNet net = small_segmentor();
  const DenseInput input = small_input();
  std::vector<std::pair<std::string, PredictOptions>> ways{{"whole", {}}};
  ways.push_back({"flip", {.flip = true}});
  ways.push_back({"scales", {.multi_scale = true}});
  ways.push_back({"twelve views", {.multi_scale = true, .flip = true}});
  ways.push_back({"sliding", {.sliding = SlidingWindow{32, 20}}});
  ways.push_back({"full size, sliding", {.full_size = true, .sliding = SlidingWindow{32, 20}}});
  ways.push_back({"all", {.multi_scale = true, .flip = true, .sliding = SlidingWindow{32, 32}}});
  std::set<uint8_t> classes;
  for (const auto& [h, w] : {std::pair{61, 90}, {83, 41}, {40, 40}, {7, 5}, {1, 1}, {3, 200}}) {
    const Image picture = some_picture(h, w);
    for (const auto& [name, options] : ways) {
      const Image labels = predict(*net, picture, input, options);
      ASSERT_EQ(labels.channels, 1);
      expect_labels(labels, straightforward(net, picture, input, options),
                    fmt::format("{} {} x {}", name, h, w));
      classes.insert(labels.pixels.begin(), labels.pixels.end());
    }
  }
  EXPECT_GT(classes.size(), 2u);
}

TEST(Predict, LargePictures) {
  SegmentorNet net = small_segmentor();
  const Image picture = some_picture(1300, 1100);
  for (const PredictOptions& options :
       {PredictOptions{}, PredictOptions{.flip = true, .sliding = SlidingWindow{32, 24}}}) {
    expect_labels(predict(*net, picture, small_input(), options),
                  straightforward(net, picture, small_input(), options), "large");
  }
}

// With padding to multiples, the padded part is cut off before the last resizing.
TEST(Predict, PaddingIsNotStretched) {
  SegmentorNet net = small_segmentor();
  DenseInput input = small_input();
  input.pad_multiple = 32;
  const Image picture = some_picture(50, 70);
  const torch::NoGradGuard no_grad;
  const data::TensorSample sample = data::test_sample(picture, input);
  const auto padded = resized(net(sample.image.unsqueeze(0)).decode, 64, 64);
  ASSERT_EQ(sample.image.sizes(), (torch::IntArrayRef{3, 64, 64}));
  const auto cut = padded.narrow(2, 0, sample.info.height).narrow(3, 0, sample.info.width);
  expect_labels(predict(*net, picture, input), resized(cut, 50, 70).squeeze(0), "padded");
}

TEST(Predict, FoldedNormsGiveTheSameLabels) {
  SegmentorNet net = small_segmentor();
  const Image picture = some_picture(61, 90);
  const auto before = straightforward(net, picture, small_input(), {});
  nn::fold_batch_norm(*net);
  EXPECT_LT(nn::difference(straightforward(net, picture, small_input(), {}), before), 1e-4);
  expect_labels(predict(*net, picture, small_input()), before, "folded");
}

TEST(Predict, MistakesAreErrors) {
  SegmentorNet net = small_segmentor();
  const Image picture = some_picture(20, 20);
  const auto refused = [&](ErrorCode code, const Image& image, const PredictOptions& options) {
    return test::error_of(code, [&] { predict(*net, image, small_input(), options); });
  };
  refused(ErrorCode::kInvalidArgument, Image(0, 5, 3), {});
  refused(ErrorCode::kMismatch, Image(5, 5, 1), {});
  test::expect_words(
      refused(ErrorCode::kInvalidArgument, picture, {.sliding = SlidingWindow{16, 17}}),
      {"stride 17", "16"});
  refused(ErrorCode::kInvalidArgument, picture, {.sliding = SlidingWindow{0, 1}});
  net->train();
  test::expect_words(refused(ErrorCode::kInvalidArgument, picture, {}), {"eval()"});
  SegmentorNet many = small_segmentor(256);
  test::error_of(ErrorCode::kUnsupported, [&] { predict(*many, picture, small_input()); });
}

}  // namespace
}  // namespace asmlp::segment::predict_test
