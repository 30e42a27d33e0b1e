// Segmentors on the engine against the LibTorch path: odd sizes and the published architectures.
#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include "asmlp/engine/heads/segmentor.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/torch/ops/runtime.h"
#include "asmlp/torch/segment/segmentor_net.h"
#include "tests/support/segmentors.h"
#include "tests/support/support.h"

namespace asmlp::test::torch_segmentor_test {
namespace {

using segment::SegmentorNet;

// Random weights with batch norms that matter, in evaluation mode.
SegmentorNet lively_segmentor(const SegmentorConfig& config) {
  const torch::NoGradGuard no_grad;
  SegmentorNet net(config);
  net->eval();
  for (auto& item : net->named_buffers()) {
    if (item.key().ends_with("running_mean")) item.value().normal_(0, 0.3);
    if (item.key().ends_with("running_var")) item.value().uniform_(0.5, 1.5);
  }
  return net;
}

// The largest difference of the logits over the largest of them.
double compare(const SegmentorNet& net, const SegmentorConfig& config, int height, int width,
               Isa isa = Isa::kAuto) {
  const torch::NoGradGuard no_grad;
  auto module = net;
  SegmentorSpec spec;
  spec.config = config;
  spec.preprocessing = segmentor_input();
  spec.preprocessing.mean.resize(config.backbone.in_chans, 0.0);
  spec.preprocessing.std.resize(config.backbone.in_chans, 1.0);
  const auto image = torch::randn({1, config.backbone.in_chans, height, width});
  const auto expected = module(image).decode.permute({0, 2, 3, 1}).contiguous();
  SegmentorEngine engine(PackedSegmentor::create(spec, nn::export_state(*module), {.isa = isa}),
                         {.threads = 2});
  const segment::LogitView found =
      engine.logits({image.data_ptr<float>(), static_cast<size_t>(image.numel())}, height, width);
  EXPECT_EQ(found.height, expected.size(1));
  EXPECT_EQ(found.width, expected.size(2));
  EXPECT_EQ(found.classes, expected.size(3));
  std::vector<float> dense;
  for (int64_t r = 0; r < int64_t{found.height} * found.width; ++r) {
    const float* row = found.values + r * found.stride;
    dense.insert(dense.end(), row, row + found.classes);
  }
  return relative_error(dense, {expected.data_ptr<float>(), size_t(expected.numel())});
}

TEST(TwoPathsOfSegmentors, AgreeOnSmallNetworks) {
  nn::configure_runtime();
  std::mt19937 random(3);
  for (int i = 0; i < 20; ++i) {
    torch::manual_seed(20 + i);
    SegmentorConfig config;
    config.backbone.embed_dim = 8;
    config.backbone.depths = std::vector<int>(2 + random() % 3, 1);
    config.backbone.in_chans = 1 + random() % 3;
    config.num_classes = 1 + random() % 30;
    config.decode_head.channels = 1 + random() % 40;
    config.auxiliary_head.stage = 0;
    const int h = 1 + random() % 90, w = 1 + random() % 90;
    SCOPED_TRACE(testing::Message() << i << ": " << h << " x " << w);
    const SegmentorNet net = lively_segmentor(config);
    EXPECT_LE(compare(net, config, h, w), 1e-4);
    if (i > 2) continue;
    for (const Isa isa : available_isas()) EXPECT_LE(compare(net, config, h, w, isa), 1e-4);
  }
}

TEST(TwoPathsOfSegmentors, AgreeOnThePublishedArchitectures) {
  nn::configure_runtime();
  struct Case {
    const char* name;
    int height, width;
  };
  double worst = 0;
  for (const auto& [name, height, width] : {Case{"upernet_asmlp_tiny", 512, 683},
                                            {"upernet_asmlp_small", 96, 131},
                                            {"upernet_asmlp_base", 128, 128}}) {
    torch::manual_seed(4);
    const SegmentorConfig config = zoo_segmentor(name).config;
    const double off = compare(lively_segmentor(config), config, height, width);
    EXPECT_LE(off, 1e-4) << name;
    worst = std::max(worst, off);
  }
  std::printf("parity native-torch segmentors %.2e\n", worst);
}

}  // namespace
}  // namespace asmlp::test::torch_segmentor_test
