#include "asmlp/torch/detect/model/detector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "asmlp/torch/data/augment/random.h"
#include "asmlp/torch/data/dense_input.h"
#include "asmlp/torch/detect/ops/mask_paste.h"
#include "asmlp/torch/detect/roi/roi_align.h"
#include "asmlp/torch/nn/load_state.h"
#include "tests/support/boxes.h"
#include "tests/support/detectors.h"

namespace asmlp::detect::detector_test {
namespace {

using data::TensorSample, torch::Tensor;

constexpr DetectorKind kKinds[]{DetectorKind::kMaskRcnn, DetectorKind::kCascade};

// A picture of smooth random colors.
Image some_picture(int height, int width, uint64_t seed) {
  data::Random random(seed);
  Image coarse(5, 7, 3);
  for (uint8_t& value : coarse.pixels) value = static_cast<uint8_t>(random.below(256));
  return resize_bilinear(coarse, {height, width});
}

TensorSample some_sample(uint64_t seed, int height = 27, int width = 41) {
  DenseInput input;
  input.short_side = 48;
  input.long_side = 80;
  return data::test_sample(some_picture(height, width, seed), input);
}

DetectorConfig some_config(DetectorKind kind) {
  DetectorConfig config = small_spec(kind).config;
  config.rpn.test_proposals = {40, 30, 0.7, 0};
  config.test.max_detections = 25;
  config.test.score_threshold = 0.2;
  return config;
}

// ---------------------------------------------------------------- everything again, slowly

struct Box {
  double x1, y1, x2, y2;
};

double iou(const Box& a, const Box& b) {
  const double w = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const double h = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  const double both = std::max(w, 0.0) * std::max(h, 0.0);
  return both / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - both);
}

Box moved(const Box& box, const Tensor& deltas, const std::vector<double>& stds,
          const data::ImageInfo& info) {
  const auto d = [&](int i) {
    const double value = deltas[i].item<double>() * stds[static_cast<size_t>(i)];
    return i < 2 ? value : std::exp(std::clamp(value, -4.135166556742356, 4.135166556742356));
  };
  const double width = box.x2 - box.x1, height = box.y2 - box.y1;
  const double x = (box.x1 + box.x2) / 2 + d(0) * width, y = (box.y1 + box.y2) / 2 + d(1) * height;
  const double w = width * d(2), h = height * d(3);
  const auto in = [](double v, int64_t most) { return std::clamp(v, 0.0, double(most)); };
  return {in(x - w / 2, info.width), in(y - h / 2, info.height), in(x + w / 2, info.width),
          in(y + h / 2, info.height)};
}

struct Candidate {
  Box box;
  double score;
  int64_t group;  // level or class: suppressed among themselves
};

std::vector<Candidate> suppressed(std::vector<Candidate> all, double threshold, size_t limit) {
  std::ranges::stable_sort(all, std::greater(), &Candidate::score);
  std::vector<Candidate> kept;
  for (const Candidate& c : all) {
    const bool free = std::ranges::none_of(kept, [&](const Candidate& k) {
      return k.group == c.group && iou(k.box, c.box) > threshold;
    });
    if (free && kept.size() < limit) kept.push_back(c);
  }
  return kept;
}

std::vector<Candidate> slow_proposals(const DetectorConfig& config, const RpnOutput& rpn,
                                      const data::ImageInfo& info) {
  std::vector<Candidate> all;
  for (size_t level = 0; level < rpn.logits.size(); ++level) {
    std::vector<Candidate> mine;
    const Tensor logits = rpn.logits[level][0], deltas = rpn.deltas[level][0];
    const double stride = config.rpn.anchors.strides[level];
    for (int64_t row = 0; row < logits.size(1); ++row) {
      for (int64_t column = 0; column < logits.size(2); ++column) {
        for (int64_t a = 0; a < 3; ++a) {
          const double root = std::sqrt(config.rpn.anchors.ratios[static_cast<size_t>(a)]);
          const double w = 8 * stride / root / 2, h = 8 * stride * root / 2;
          const double x = double(column) * stride, y = double(row) * stride;
          const Tensor d = deltas.slice(0, 4 * a, 4 * a + 4).select(2, column).select(1, row);
          const double logit = logits[a][row][column].item<double>();
          mine.push_back({moved({x - w, y - h, x + w, y + h}, d, {1, 1, 1, 1}, info),
                          1 / (1 + std::exp(-logit)), static_cast<int64_t>(level)});
        }
      }
    }
    std::ranges::stable_sort(mine, std::greater(), &Candidate::score);
    mine.resize(std::min<size_t>(mine.size(), config.rpn.test_proposals.before_nms));
    all.insert(all.end(), mine.begin(), mine.end());
  }
  return suppressed(all, config.rpn.test_proposals.nms_iou, config.rpn.test_proposals.kept);
}

Tensor slow_pool(const DetectorConfig& config, const std::vector<Tensor>& pyramid, const Box& box,
                 int64_t bins) {
  const double size = std::sqrt((box.x2 - box.x1) * (box.y2 - box.y1));
  const auto level = static_cast<int64_t>(
      std::clamp(std::floor(std::log2(size / 56 + 1e-6)), 0.0, double(config.roi.levels - 1)));
  const Tensor roi = torch::tensor({0.0, box.x1, box.y1, box.x2, box.y2}).view({1, 5});
  return eager_roi_align({pyramid[static_cast<size_t>(level)]}, {1.0 / double(4 << level)},
                         roi.to(torch::kFloat), torch::zeros({1}, torch::kInt64), {bins, bins, 0});
}

// Values, not yet compared with the threshold, at the pixels of the file's image.
Tensor slow_mask(const Tensor& mask, const Box& box, const data::ImageInfo& info) {
  namespace F = torch::nn::functional;
  const auto along = [](int64_t pixels, double from, double to) {
    return (torch::arange(pixels, torch::kDouble) + 0.5 - from) / (to - from) * 2 - 1;
  };
  const auto x = along(info.original_width, box.x1, box.x2).unsqueeze(0);
  const auto y = along(info.original_height, box.y1, box.y2).unsqueeze(1);
  const auto grid = torch::stack(torch::broadcast_tensors({x, y}), 2).unsqueeze(0);
  return F::grid_sample(mask.to(torch::kDouble).unsqueeze(0).unsqueeze(0), grid,
                        F::GridSampleFuncOptions().align_corners(false))[0][0];
}

struct SlowDetection {
  Candidate found;
  Tensor mask;
};

std::vector<SlowDetection> slowly(DetectorNet& net, const TensorSample& sample) {
  const DetectorConfig& config = net->config();
  const auto stages = config.stages.size();
  const auto pyramid = net->features(sample.image.unsqueeze(0));
  const double sx = double(sample.info.width) / double(sample.info.original_width);
  const double sy = double(sample.info.height) / double(sample.info.original_height);
  std::vector<Candidate> all;
  for (const Candidate& proposal : slow_proposals(config, net->rpn(pyramid), sample.info)) {
    Box box = proposal.box;
    if (stages == 1 && box.y2 == 0) continue;
    Tensor logits = torch::zeros({config.num_classes + 1}), deltas;
    for (size_t k = 0; k < stages; ++k) {
      const BoxOutput output = net->boxes(k, slow_pool(config, pyramid, box, config.roi.box_size));
      logits = logits + output.logits[0] / double(stages);
      deltas = output.deltas[0];
      if (k + 1 == stages) break;
      const int64_t best =
          output.logits[0].slice(0, 0, config.num_classes).argmax().item<int64_t>();
      box = moved(box, deltas.slice(0, 4 * best, 4 * best + 4), config.stages[k].box_stds,
                  sample.info);
    }
    const Tensor p = torch::exp(logits) / torch::exp(logits).sum();
    for (int64_t c = 0; c < config.num_classes; ++c) {
      if (p[c].item<double>() <= config.test.score_threshold) continue;
      Box b =
          moved(box, deltas.slice(0, 4 * c, 4 * c + 4), config.stages.back().box_stds, sample.info);
      all.push_back({{b.x1 / sx, b.y1 / sy, b.x2 / sx, b.y2 / sy}, p[c].item<double>(), c});
    }
  }
  std::vector<SlowDetection> detections;
  for (const Candidate& c : suppressed(all, config.test.nms_iou, config.test.max_detections)) {
    const Box large{c.box.x1 * sx, c.box.y1 * sy, c.box.x2 * sx, c.box.y2 * sy};
    const Tensor pooled = slow_pool(config, pyramid, large, config.roi.mask_size);
    Tensor mask = torch::zeros({2 * config.roi.mask_size, 2 * config.roi.mask_size});
    for (size_t k = 0; k < stages; ++k) {
      mask = mask + torch::sigmoid(net->masks(k, pooled)[0][c.group]) / double(stages);
    }
    detections.push_back({c, slow_mask(mask, c.box, sample.info)});
  }
  return detections;
}

void expect_same(const std::vector<Detection>& found, const std::vector<SlowDetection>& expected,
                 const data::ImageInfo& info) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    const Detection& d = found[i];
    const Candidate& e = expected[i].found;
    EXPECT_NEAR(d.score, e.score, 1e-5) << i;
    EXPECT_EQ(d.label, e.group) << i;
    // fp32 against double, through at most four decodings of boxes of some 80 pixels.
    EXPECT_NEAR(d.box[0], e.box.x1, 2e-3) << i;
    EXPECT_NEAR(d.box[1], e.box.y1, 2e-3) << i;
    EXPECT_NEAR(d.box[2], e.box.x2, 2e-3) << i;
    EXPECT_NEAR(d.box[3], e.box.y2, 2e-3) << i;
    ASSERT_EQ(d.mask.height, info.original_height);
    ASSERT_EQ(d.mask.width, info.original_width);
    auto pixels = decode_mask(d.mask);
    const Tensor mask =
        torch::from_blob(pixels.data(), expected[i].mask.sizes(), torch::kUInt8).to(torch::kBool);
    const Tensor clear = (expected[i].mask - 0.5).abs() > 5e-3;
    EXPECT_TRUE((mask.eq(expected[i].mask >= 0.5) | ~clear).all().item<bool>()) << i;
  }
}

TEST(Detector, IsTheSlowRecomputation) {
  const torch::NoGradGuard no_grad;
  for (const DetectorKind kind : kKinds) {
    size_t detections = 0, mixed = 0;
    for (const uint64_t seed : {1, 2, 3}) {
      torch::manual_seed(seed);
      DetectorNet net = lively_net(some_config(kind));
      const TensorSample sample = some_sample(seed);
      const std::vector<Detection> found = detect(*net, sample);
      expect_same(found, slowly(net, sample), sample.info);
      detections += found.size();
      for (const Detection& d : found) {
        const int64_t area = mask_area(d.mask);
        mixed += area > 0 && area < (d.box[2] - d.box[0]) * (d.box[3] - d.box[1]) * 0.95;
      }
    }
    EXPECT_GT(detections, 30u) << static_cast<int>(kind);
    EXPECT_GT(mixed, 5u) << static_cast<int>(kind);
  }
}

// ---------------------------------------------------------------- properties

TEST(Detector, ABatchIsItsImages) {
  for (const DetectorKind kind : kKinds) {
    torch::manual_seed(5);
    DetectorNet net = lively_net(some_config(kind));
    // Of one padded size, but not of one size.
    const TensorSample a = some_sample(1), b = some_sample(2, 26, 41);
    ASSERT_EQ(a.image.sizes(), b.image.sizes());
    Timings times;
    const auto both = detect(*net, torch::stack({a.image, b.image}), {a.info, b.info}, &times);
    ASSERT_EQ(both.size(), 2u);
    for (const auto& [sample, found] : {std::pair{a, both[0]}, std::pair{b, both[1]}}) {
      const std::vector<Detection> alone = detect(*net, sample);
      ASSERT_EQ(alone.size(), found.size());
      ASSERT_FALSE(alone.empty());
      for (size_t i = 0; i < alone.size(); ++i) {
        EXPECT_EQ(alone[i].label, found[i].label);
        EXPECT_NEAR(alone[i].score, found[i].score, 1e-5);
        for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(alone[i].box[k], found[i].box[k], 2e-3);
        EXPECT_EQ(found[i].mask.height, sample.info.original_height);
      }
    }
    Timings::visit(times, [](const char* name, double seconds) { EXPECT_GT(seconds, 0) << name; });
  }
}

TEST(Detector, ResultsAreInOrderAndInTheImage) {
  torch::manual_seed(6);
  DetectorNet net = lively_net(some_config(DetectorKind::kMaskRcnn));
  const TensorSample sample = some_sample(8);
  const std::vector<Detection> found = detect(*net, sample);
  ASSERT_GT(found.size(), 3u);
  EXPECT_LE(found.size(), 25u);
  EXPECT_TRUE(std::ranges::is_sorted(found, std::greater(), &Detection::score));
  for (const Detection& d : found) {
    EXPECT_GT(d.score, 0.2f);
    EXPECT_GE(std::min(d.box[0], d.box[1]), 0);
    EXPECT_LE(d.box[2], 41.001f);
    EXPECT_LE(d.box[3], 27.001f);
  }
  EXPECT_EQ(found, detect(*net, sample));  // nothing random, nothing remembered
}

// A detector of boxes with the weights of one of masks finds the same boxes.
TEST(Detector, WithoutMasksTheBoxesAreTheSame) {
  for (const auto& [with, without] :
       {std::pair{DetectorKind::kMaskRcnn, DetectorKind::kFasterRcnn},
        std::pair{DetectorKind::kCascade, DetectorKind::kCascadeRcnn}}) {
    torch::manual_seed(11);
    DetectorNet masks = lively_net(some_config(with));
    TensorMap state = nn::export_state(*masks);
    std::erase_if(state,
                  [](const auto& item) { return item.first.starts_with("roi_head.mask_head"); });
    DetectorNet boxes(some_config(without));
    const nn::StateReport report = nn::load_state(*boxes, state, "boxes");
    EXPECT_TRUE(report.complete()) << nn::describe(report);
    boxes->eval();
    std::vector<Detection> expected = detect(*masks, some_sample(4));
    ASSERT_GT(expected.size(), 3u);
    for (Detection& d : expected) d.mask = {};
    Timings times;
    EXPECT_EQ(detect(*boxes, some_sample(4), &times), expected);
    EXPECT_EQ(times.mask_heads + times.paste, 0);
  }
}

// Thresholds that nothing passes, and networks that propose nothing usable.
TEST(Detector, NothingIsFoundWithoutACrash) {
  for (const DetectorKind kind : kKinds) {
    DetectorConfig config = some_config(kind);
    config.test.score_threshold = 1;
    torch::manual_seed(7);
    DetectorNet none = lively_net(config);
    EXPECT_TRUE(detect(*none, some_sample(1)).empty());
    config = some_config(kind);
    config.rpn.test_proposals.min_size = 1000;
    DetectorNet blind = lively_net(config);
    EXPECT_TRUE(detect(*blind, some_sample(1)).empty());
    const auto two =
        detect(*blind, torch::zeros({2, 3, 64, 64}), {some_sample(1).info, some_sample(2).info});
    EXPECT_EQ(two, std::vector<std::vector<Detection>>(2));
  }
}

// Everything is moved above the image, where clipping leaves lines of y1 = y2 = 0.
TEST(Detector, RegionsAtTheUpperEdgeAreTakenForPadding) {
  const torch::NoGradGuard no_grad;
  const auto lift = [](const torch::Tensor& bias) { bias.view({-1, 4}).select(1, 1).fill_(-1e4); };
  for (const DetectorKind kind : kKinds) {
    const bool cascade = kind == DetectorKind::kCascade;
    torch::manual_seed(9);
    DetectorNet proposals = lively_net(some_config(kind));
    lift(proposals->named_parameters()["rpn_head.rpn_reg.bias"]);
    EXPECT_EQ(detect(*proposals, some_sample(1)).empty(), !cascade);

    DetectorNet results = lively_net(some_config(kind));
    lift(results->named_parameters()[cascade ? "roi_head.bbox_head.2.fc_reg.bias"
                                             : "roi_head.bbox_head.fc_reg.bias"]);
    const std::vector<Detection> found = detect(*results, some_sample(1));
    int lines = 0;
    for (const Detection& d : found) {
      EXPECT_EQ(d.mask.width, 41);
      if (d.box[3] != 0) continue;  // a region without height cannot be moved
      ++lines;
      EXPECT_TRUE(cascade || d.mask.counts == std::vector<uint32_t>{27 * 41});
    }
    EXPECT_GT(lines, 0);
  }
}

TEST(Detector, AnImageOfOnePixel) {
  for (const DetectorKind kind : kKinds) {
    torch::manual_seed(10);
    DetectorNet net = lively_net(some_config(kind));
    for (const Detection& d : detect(*net, some_sample(1, 1, 1))) {
      EXPECT_EQ(d.mask.height, 1);
      EXPECT_EQ(d.mask.width, 1);
    }
  }
}

TEST(Detector, RefusesWhatDoesNotFit) {
  DetectorNet net(some_config(DetectorKind::kMaskRcnn));
  const TensorSample sample = some_sample(1);
  EXPECT_THROW(detect(*net, sample), Error);  // training mode
  net->eval();
  EXPECT_THROW(detect(*net, sample.image.unsqueeze(0), {sample.info, sample.info}), Error);
  TensorSample wrong = sample;
  wrong.info.original_width = 0;
  EXPECT_THROW(detect(*net, wrong), Error);
}

}  // namespace
}  // namespace asmlp::detect::detector_test
