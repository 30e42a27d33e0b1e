#include "asmlp/segmentation/predict.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/image/opencv/dense_input.h"
#include "tests/support/support.h"

namespace asmlp::segment_predict_test {
namespace {

using segment::LogitView;
using segment::PredictOptions;
using segment::Rows;
using segment::SlidingWindow;

// Smooth, with some noise: classes come in regions. Or all noise.
Image some_image(int height, int width, bool smooth = true) {
  Image image(height, width, 3);
  std::mt19937 random(static_cast<uint32_t>(height * 1000 + width));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const double wave = std::sin(0.09 * (c + 1) * y + 0.07 * x) * std::cos(0.11 * x - c);
        const double value = smooth ? 127 + 100 * wave + random() % 20 : random() % 256;
        image.row(y)[3 * x + c] = static_cast<uint8_t>(value);
      }
    }
  }
  return image;
}

// Logits of blocks of 4 x 4 pixels, from their means. The memory is the same in every call.
class BlockNetwork {
 public:
  BlockNetwork(int classes, int gap) : classes_(classes), stride_(classes + gap) {}

  LogitView operator()(std::span<const float> input, int height, int width) {
    ++calls;
    EXPECT_EQ(input.size(), size_t(3) * height * width);
    const int h = (height + 3) / 4, w = (width + 3) / 4;
    values_.assign(size_t(h) * w * stride_, 1e30f);
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) {
        double means[3] = {};
        for (int c = 0; c < 3; ++c) {
          for (int i = 4 * y; i < std::min(4 * y + 4, height); ++i) {
            for (int j = 4 * x; j < std::min(4 * x + 4, width); ++j) {
              means[c] += input[(size_t(c) * height + i) * width + j] / 16;
            }
          }
        }
        for (int k = 0; k < classes_; ++k) {
          const double angle = 1.3 * means[0] + k * (0.7 * means[1] + 0.31) + 0.9 * means[2];
          values_[(size_t(y) * w + x) * stride_ + k] = static_cast<float>(4 * std::sin(angle));
        }
      }
    }
    return {values_.data(), h, w, classes_, stride_};
  }

  int classes() const { return classes_; }
  int calls = 0;

 private:
  int classes_;
  int64_t stride_;
  std::vector<float> values_;
};

// Logits of all pixels, in double.
struct Map {
  int height = 0, width = 0, classes = 0;
  std::vector<double> values;
  Map(int h, int w, int k) : height(h), width(w), classes(k), values(size_t(h) * w * k) {}
  double* at(int y, int x) { return values.data() + (size_t(y) * width + x) * classes; }
};

// As torch::upsample_bilinear2d: places in fp32.
Map resized(Map& map, int height, int width) {
  const auto place = [](int i, int from, int to) {
    const float scale = static_cast<float>(from) / static_cast<float>(to);
    const float at = from == to ? static_cast<float>(i)
                                : std::max(0.0f, scale * (static_cast<float>(i) + 0.5f) - 0.5f);
    const int low = std::min(static_cast<int>(at), from - 1);
    return std::tuple{low, std::min(low + 1, from - 1), double{at - static_cast<float>(low)}};
  };
  Map out(height, width, map.classes);
  for (int y = 0; y < height; ++y) {
    const auto [top, bottom, down] = place(y, map.height, height);
    for (int x = 0; x < width; ++x) {
      const auto [left, right, across] = place(x, map.width, width);
      for (int k = 0; k < map.classes; ++k) {
        const double above = map.at(top, left)[k] * (1 - across) + map.at(top, right)[k] * across;
        const double below =
            map.at(bottom, left)[k] * (1 - across) + map.at(bottom, right)[k] * across;
        out.at(y, x)[k] = above * (1 - down) + below * down;
      }
    }
  }
  return out;
}

Image window_of(const Image& image, Rows rows, Rows columns) {
  Image out(int(rows.count()), int(columns.count()), image.channels);
  for (int y = 0; y < out.height; ++y) {
    std::copy_n(image.row(int(rows.first) + y) + 3 * columns.first, size_t(3) * out.width,
                out.row(y));
  }
  return out;
}

Map windows_mean(const Image& view, const DenseInput& input, BlockNetwork& network,
                 const std::optional<SlidingWindow>& sliding) {
  Map sum(view.height, view.width, network.classes());
  std::vector<int> seen(size_t(view.height) * view.width);
  for (const Rows rows : segment::windows_of(view.height, sliding)) {
    for (const Rows columns : segment::windows_of(view.width, sliding)) {
      const Image part = window_of(view, rows, columns);
      const CvSize size = padded_size({part.height, part.width}, input);
      std::vector<float> planes(size_t(3) * size.height * size.width);
      normalize_into(part, input, size.height, size.width, planes);
      const LogitView logits = network(planes, size.height, size.width);
      Map map(logits.height, logits.width, logits.classes);
      for (int i = 0; i < map.height * map.width; ++i) {
        std::copy_n(logits.values + i * logits.stride, map.classes,
                    map.values.data() + size_t(i) * map.classes);
      }
      map = resized(map, size.height, size.width);
      for (int y = 0; y < part.height; ++y) {
        for (int x = 0; x < part.width; ++x) {
          const int row = int(rows.first) + y, column = int(columns.first) + x;
          for (int k = 0; k < map.classes; ++k) sum.at(row, column)[k] += map.at(y, x)[k];
          ++seen[size_t(row) * view.width + column];
        }
      }
    }
  }
  for (size_t i = 0; i < sum.values.size(); ++i) sum.values[i] /= seen[i / sum.classes];
  return sum;
}

// Everything at once: the logits of one view, or the sum of the probabilities of several.
Map straightforward(const Image& image, const DenseInput& input, BlockNetwork& network,
                    const PredictOptions& options) {
  Map total(image.height, image.width, network.classes());
  const bool several = options.multi_scale || options.flip;
  for (const double ratio : segment::kTtaScales) {
    if (!options.multi_scale && ratio != 1) continue;
    CvSize size = fitted_size(image.height, image.width, int(input.short_side * ratio),
                              int(input.long_side * ratio));
    if (options.full_size) {
      size = {std::max(1, int(std::lround(image.height * ratio))),
              std::max(1, int(std::lround(image.width * ratio)))};
    }
    for (const bool mirrored : {false, true}) {
      if (mirrored && !options.flip) continue;
      Image view = resize_bilinear(image, size);
      if (mirrored) view = flip_horizontal(view);
      Map map = windows_mean(view, input, network, options.sliding);
      map = resized(map, image.height, image.width);
      for (int y = 0; y < image.height; ++y) {
        for (int x = 0; x < image.width; ++x) {
          const double* logits = map.at(y, mirrored ? image.width - 1 - x : x);
          const double largest = *std::max_element(logits, logits + map.classes);
          double sum = 0;
          for (int k = 0; k < map.classes; ++k) sum += std::exp(logits[k] - largest);
          for (int k = 0; k < map.classes; ++k) {
            total.at(y, x)[k] += several ? std::exp(logits[k] - largest) / sum : logits[k];
          }
        }
      }
    }
  }
  return total;
}

// The labels are those of the largest values, but where rounding may decide.
void expect_labels(const Image& labels, Map& values, const std::string& what) {
  ASSERT_EQ(labels.channels, 1);
  ASSERT_EQ(labels.height, values.height) << what;
  ASSERT_EQ(labels.width, values.width) << what;
  int64_t close = 0;
  for (int y = 0; y < labels.height; ++y) {
    for (int x = 0; x < labels.width; ++x) {
      const double* value = values.at(y, x);
      const int label = labels.row(y)[x];
      ASSERT_LT(label, values.classes);
      const double largest = *std::max_element(value, value + values.classes);
      const auto ties = std::count_if(value, value + values.classes,
                                      [&](double v) { return v > largest - 2e-5; });
      close += ties > 1;
      ASSERT_GT(value[label], largest - 2e-5) << what << " at " << y << ' ' << x;
    }
  }
  EXPECT_LE(close, 3 + int64_t{labels.height} * labels.width / 100) << what;
}

DenseInput small_input() {
  DenseInput input;
  input.short_side = 48;
  input.long_side = 160;
  input.pad_multiple = 1;
  return input;
}

std::vector<std::pair<std::string, PredictOptions>> all_ways() {
  return {
      {"whole", {}},
      {"flip", {.flip = true}},
      {"scales", {.multi_scale = true}},
      {"full size", {.full_size = true}},
      {"sliding", {.sliding = SlidingWindow{32, 20}}},
      {"full size, sliding", {.full_size = true, .sliding = SlidingWindow{33, 14}}},
      {"dense sliding", {.sliding = SlidingWindow{30, 3}}},
      {"sliding, flip", {.flip = true, .sliding = SlidingWindow{32, 32}}},
      {"all", {.multi_scale = true, .flip = true, .sliding = SlidingWindow{40, 27}}},
      {"all, full size",
       {.multi_scale = true, .flip = true, .full_size = true, .sliding = SlidingWindow{40, 40}}}};
}

TEST(SegmentPredict, EqualsTheStraightforwardComputation) {
  std::mt19937 random(3);
  std::set<uint8_t> seen;
  for (const auto& [name, options] : all_ways()) {
    for (const auto& [h, w] :
         {std::pair{61, 90}, {83, 41}, {40, 40}, {7, 5}, {1, 1}, {2, 130}, {97, 3}}) {
      static constexpr int kClasses[]{1, 2, 5, 16, 21, 40};
      BlockNetwork network(kClasses[random() % 6], static_cast<int>(random() % 3));
      DenseInput input = small_input();
      input.pad_multiple = random() % 2 == 0 ? 1 : 16;
      const Image image = some_image(h, w, random() % 4 != 0);
      const Image labels =
          segment::predict(image, input, network.classes(), std::ref(network), options);
      const int calls = std::exchange(network.calls, 0);
      Map values = straightforward(image, input, network, options);
      EXPECT_LE(calls, network.calls);  // rows of windows that no line needs are left out
      ASSERT_NO_FATAL_FAILURE(
          expect_labels(labels, values,
                        fmt::format("{} {} x {}, {} classes, multiple {}", name, h, w,
                                    network.classes(), input.pad_multiple)));
      seen.insert(labels.pixels.begin(), labels.pixels.end());
    }
  }
  EXPECT_GT(seen.size(), 20u);
}

TEST(SegmentPredict, ManyClassesOnALargerImage) {
  BlockNetwork network(150, 10);
  DenseInput input = small_input();
  input.short_side = 96;
  const Image image = some_image(211, 301);
  for (const PredictOptions& options :
       {PredictOptions{}, PredictOptions{.flip = true, .sliding = SlidingWindow{64, 43}}}) {
    const Image labels = segment::predict(image, input, 150, std::ref(network), options);
    Map values = straightforward(image, input, network, options);
    ASSERT_NO_FATAL_FAILURE(expect_labels(labels, values, "large"));
  }
}

TEST(SegmentPredict, ThreadsDoNotMatter) {
  const detect::ParallelFor backwards = [](int64_t tasks, const auto& body) {
    while (tasks > 0) body(--tasks);
  };
  const detect::ParallelFor threads = [](int64_t tasks, const auto& body) {
    std::atomic<int64_t> next{0};
    const auto work = [&] {
      for (int64_t task = next++; task < tasks; task = next++) body(task);
    };
    std::vector<std::jthread> all;
    for (int i = 0; i < 4; ++i) all.emplace_back(work);
  };
  const Image image = some_image(130, 75, false);
  for (const auto& [name, options] : all_ways()) {
    BlockNetwork network(7, 0);
    const auto labels = [&](const detect::ParallelFor& parallel) {
      return segment::predict(image, small_input(), 7, std::ref(network), options, parallel).pixels;
    };
    const auto expected = labels(detect::run_in_turn);
    EXPECT_TRUE(labels(backwards) == expected) << name;
    EXPECT_TRUE(labels(threads) == expected) << name;
  }
}

// A network with one logit per class, everywhere, except where `change` says otherwise.
struct ConstantNetwork {
  std::vector<float> logits;
  std::function<void(int y, int x, float* cell)> change = {};
  std::vector<float> values = {};

  LogitView operator()(std::span<const float>, int height, int width) {
    const int h = (height + 3) / 4, w = (width + 3) / 4;
    values.clear();
    for (int i = 0; i < h * w; ++i) {
      values.insert(values.end(), logits.begin(), logits.end());
      if (change) change(i / w, i % w, values.data() + values.size() - logits.size());
    }
    return {values.data(), h, w, int(logits.size()), int64_t(logits.size())};
  }
};

TEST(SegmentPredict, TheFirstOfEqualClassesWins) {
  std::vector<float> logits(30, -0.3f);
  logits[11] = logits[17] = logits[29] = 0.7f;
  for (const auto& [name, options] : all_ways()) {
    ConstantNetwork network{logits};
    // Noise below, so that pixels have to be computed.
    network.change = [](int y, int x, float* cell) { cell[(y + x) % 8] += 0.1f; };
    const Image labels =
        segment::predict(some_image(57, 43), small_input(), 30, std::ref(network), options);
    EXPECT_TRUE(std::ranges::all_of(labels.pixels, [](int v) { return v == 11; })) << name;
  }
}

TEST(SegmentPredict, WhatIsNotANumberNeverWins) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const Image image = some_image(57, 43);
  for (const auto& [name, options] : all_ways()) {
    const auto labels = [&](ConstantNetwork network) {
      return segment::predict(image, small_input(), int(network.logits.size()), std::ref(network),
                              options);
    };
    for (const int classes : {1, 3, 16, 40}) {
      const Image none = labels({std::vector<float>(size_t(classes), kNan)});
      EXPECT_TRUE(std::ranges::all_of(none.pixels, [](int v) { return v == 0; })) << name;
    }
    std::vector<float> logits(40, -1.0f);
    logits[0] = logits[20] = kNan;
    logits[33] = 2;
    logits[35] = 1;
    const Image one = labels({logits});
    EXPECT_TRUE(std::ranges::all_of(one.pixels, [](int v) { return v == 33; })) << name;
    // Here and there the class that would win is none.
    const Image some = labels({logits, [](int y, int x, float* cell) {
                                 if ((y + x) % 5 == 0) cell[33] = kNan;
                               }});
    EXPECT_TRUE(std::ranges::all_of(some.pixels, [](int v) { return v == 33 || v == 35; })) << name;
    for (const float value : {std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity(), 3e38f, -3e38f}) {
      for (const uint8_t label : labels({{value, value, value}}).pixels) ASSERT_LT(label, 3);
    }
  }
}

TEST(SegmentPredict, MistakesAreErrors) {
  const Image image = some_image(50, 60);
  const auto refused = [&](ErrorCode code, const Image& picture, int classes,
                           const segment::Network& network, const PredictOptions& options = {}) {
    return test::error_of(
        code, [&] { segment::predict(picture, small_input(), classes, network, options); });
  };
  BlockNetwork network(5, 0);
  const auto invalid = ErrorCode::kInvalidArgument;
  refused(invalid, Image(0, 5, 3), 5, std::ref(network));
  refused(invalid, Image(5, 0, 3), 5, std::ref(network));
  refused(ErrorCode::kMismatch, Image(5, 5, 1), 5, std::ref(network));
  refused(ErrorCode::kMismatch, image, 6, std::ref(network));
  refused(ErrorCode::kUnsupported, image, 256, std::ref(network));
  refused(ErrorCode::kUnsupported, image, 0, std::ref(network));
  refused(invalid, image, 5, std::ref(network), {.sliding = SlidingWindow{16, 17}});
  refused(invalid, image, 5, std::ref(network), {.sliding = SlidingWindow{0, 1}});
  refused(ErrorCode::kMismatch, image, 5, [](auto...) { return LogitView{nullptr, 0, 0, 5, 5}; });
  int calls = 0;
  std::vector<float> values(1000);
  refused(ErrorCode::kMismatch, image, 5,
          [&](auto...) {
            return LogitView{values.data(), 8 + calls++, 8, 5, 5};
          },
          {.sliding = SlidingWindow{32, 32}});
  refused(ErrorCode::kIo, image, 5,
          [](auto...) -> LogitView { fail(ErrorCode::kIo, "the network broke"); });
}

TEST(ClassShares, CountPixels) {
  Image labels(2, 5, 1);
  labels.pixels = {0, 0, 3, 3, 3, 3, 255, 255, 1, 0};
  EXPECT_EQ(segment::class_shares(labels, 4), (std::vector<double>{0.3, 0.1, 0, 0.4}));
  EXPECT_EQ(segment::class_shares(labels, 1), (std::vector<double>{0.3}));
  EXPECT_EQ(segment::class_shares(Image(0, 0, 1), 2), (std::vector<double>{0, 0}));
  EXPECT_THROW(segment::class_shares(Image(1, 1, 3), 2), Error);
  EXPECT_THROW(segment::class_shares(labels, 0), Error);
  EXPECT_THROW(segment::class_shares(labels, 257), Error);
}

}  // namespace
}  // namespace asmlp::segment_predict_test
