#include "asmlp/torch/detect/model/detector_net.h"

#include <gtest/gtest.h>

#include "asmlp/core/error.h"
#include "asmlp/model/flops.h"
#include "asmlp/model/params.h"
#include "asmlp/torch/detect/model/detector_file.h"
#include "asmlp/torch/io/backbone_weights.h"
#include "tests/support/detectors.h"
#include "tests/support/modules.h"
#include "tests/support/weight_files.h"

namespace asmlp::detect::detector_net_test {
namespace {

using nn::fill_module, nn::filled;

DetectorSpec golden_spec(const std::string& kind) {
  const auto file = read_safetensors(test::data("downstream/" + kind + ".safetensors"));
  return detector_from_json(file.metadata.at("config"), kind);
}

// torchvision's modules and a composition of the backbone, on the script's weights.
TEST(DetectorNet, ComputesTheGoldenFigures) {
  const torch::NoGradGuard no_grad;
  for (const std::string kind : {"mask_rcnn", "cascade"}) {
    nn::DownstreamGolden golden(test::data("downstream/" + kind + ".safetensors"));
    DetectorNet net(detector_from_json(golden.config(), kind).config);
    golden.expect_keys(*net);
    fill_module(*net);
    net->eval();
    const DetectorConfig& config = net->config();
    const auto image = filled("input.image", {1, 3, 43, 35});
    const auto maps = net->backbone()(image);
    for (size_t k = 0; k < maps.size(); ++k) golden.expect(fmt::format("map.{}", k), maps[k]);
    const auto pyramid = net->features(image);
    ASSERT_EQ(pyramid.size(), 4u);
    const RpnOutput rpn = net->rpn(pyramid);
    for (size_t k = 0; k < pyramid.size(); ++k) {
      golden.expect(fmt::format("pyramid.{}", k), pyramid[k]);
      golden.expect(fmt::format("rpn.logits.{}", k), rpn.logits[k]);
      golden.expect(fmt::format("rpn.deltas.{}", k), rpn.deltas[k]);
    }
    const int64_t f = config.fpn_channels, s = config.roi.box_size, m = config.roi.mask_size;
    for (size_t k = 0; k < config.stages.size(); ++k) {
      const BoxOutput boxes = net->boxes(k, filled("input.box", {3, f, s, s}));
      golden.expect(fmt::format("box.{}.logits", k), boxes.logits);
      golden.expect(fmt::format("box.{}.deltas", k), boxes.deltas);
      golden.expect(fmt::format("mask.{}", k), net->masks(k, filled("input.mask", {2, f, m, m})));
    }
  }
}

// The whole published networks, one at a time (the largest has 580 MB).
TEST(DetectorNet, HasThePublishedNumberOfParametersAndTensors) {
  const std::vector<std::tuple<const char*, int64_t, size_t>> published{
      {"mask_rcnn_asmlp_tiny", 47'788'944, 303},
      {"mask_rcnn_asmlp_small", 69'100'944, 543},
      {"cascade_asmlp_tiny", 85'624'146, 409},
      {"cascade_asmlp_small", 106'936'146, 649},
      {"cascade_asmlp_base", 144'961'586, 649},
      // Not published: less the mask heads, of 2'643'280 parameters in 12 tensors each.
      {"faster_rcnn_asmlp_tiny", 47'788'944 - 2'643'280, 303 - 12},
      {"faster_rcnn_asmlp_small", 69'100'944 - 2'643'280, 543 - 12},
      {"faster_rcnn_asmlp_base", 104'483'104, 543 - 12},
      {"cascade_rcnn_asmlp_tiny", 85'624'146 - 3 * 2'643'280, 409 - 36},
      {"cascade_rcnn_asmlp_small", 106'936'146 - 3 * 2'643'280, 649 - 36},
      {"cascade_rcnn_asmlp_base", 144'961'586 - 3 * 2'643'280, 649 - 36}};
  ASSERT_EQ(published.size(), zoo_detector_names().size());
  for (const auto& [name, parameters, tensors] : published) {
    const DetectorNet net(zoo_detector(name).config);
    EXPECT_EQ(nn::parameter_count(*net), parameters) << name;
    TensorMap state = nn::export_state(*net);
    EXPECT_EQ(state.size(), tensors) << name;
    // The table of model/params.h, which needs no network, says the same.
    const std::vector<Param> table = parameter_table(net->config());
    EXPECT_EQ(count_trained(table), parameters) << name;
    ASSERT_EQ(table.size(), state.size()) << name;
    for (const Param& param : table) {
      const auto found = state.find(param.name);
      ASSERT_NE(found, state.end()) << param.name;
      EXPECT_EQ(found->second.shape, param.shape) << param.name;
    }
    // Which they are shows in the tensors, and so does the number of classes.
    EXPECT_EQ(recognized_detector(state), zoo_detector(name));
    const bool cascade = is_cascade(net->config().kind);
    state[fmt::format("roi_head.bbox_head.{}fc_cls.bias", cascade ? "0." : "")].shape = {8};
    EXPECT_EQ(recognized_detector(state)->config.num_classes, 7) << name;
    state["backbone.layers.3.blocks.2.norm1.weight"] = state["backbone.norm3.weight"];
    EXPECT_EQ(recognized_detector(state), std::nullopt) << name;
  }
}

TEST(DetectorNet, InitializationIsTheAuthors) {
  torch::manual_seed(7);
  DetectorSpec spec = small_spec(DetectorKind::kCascade);
  spec.config.fpn_channels = spec.config.rpn.channels = 64;
  spec.config.box_head.conv_channels = spec.config.mask_head.channels = 64;
  spec.config.box_head.fc_channels = 128;
  const DetectorNet net(spec.config);
  // Standard deviations by name; a sample of n numbers is within 5 / sqrt(n) of its own (for the
  // flattest of these distributions still more than five of its deviations).
  const auto fan_out = [](double out, double kernel) { return std::sqrt(2 / (out * kernel)); };
  const auto xavier = [](double in, double out) { return std::sqrt(2 / (in + out)); };
  const std::map<std::string, double> expected{
      {"neck.fpn_convs.0.conv.weight", xavier(64 * 9, 64 * 9)},
      {"neck.lateral_convs.2.conv.weight", xavier(16, 64)},
      {"rpn_head.rpn_conv.weight", 0.01},
      {"rpn_head.rpn_reg.weight", 0.01},
      {"roi_head.bbox_head.1.shared_convs.0.conv.weight", fan_out(64, 9)},
      {"roi_head.bbox_head.1.shared_fcs.0.weight", xavier(64 * 9, 128)},
      {"roi_head.bbox_head.2.fc_cls.weight", 0.01},
      {"roi_head.bbox_head.2.fc_reg.weight", 0.001},
      {"roi_head.mask_head.0.convs.1.conv.weight", fan_out(64, 9)},
      // PyTorch takes the first axis, which is the input's here, for the output's.
      {"roi_head.mask_head.0.upsample.weight", fan_out(64, 4)},
      {"roi_head.mask_head.0.conv_logits.weight", fan_out(2, 1)}};
  const auto parameters = net->named_parameters();
  for (const auto& [name, std] : expected) {
    const auto& weight = parameters[name];
    EXPECT_NEAR(weight.std().item<double>() / std, 1, 5 / std::sqrt(double(weight.numel())))
        << name;
    const auto* bias = parameters.find(name.substr(0, name.size() - 6) + "bias");
    EXPECT_TRUE(bias == nullptr || bias->eq(0).all().item<bool>()) << name;
  }
}

// Gradients of every head reach every parameter, the backbone's too, in a batch of several images.
TEST(DetectorNet, EveryParameterIsTrained) {
  for (const auto& [kind, name] : names_of(DetectorKind())) {
    DetectorNet net(small_spec(kind).config);
    fill_module(*net);
    const auto pyramid = net->features(filled("input.image", {2, 3, 40, 61}));
    const RpnOutput rpn = net->rpn(pyramid);
    auto loss = torch::zeros({});
    const auto add = [&](const torch::Tensor& x) { loss = loss + x.square().mean(); };
    for (size_t k = 0; k < pyramid.size(); ++k) add(rpn.logits[k]), add(rpn.deltas[k]);
    for (size_t k = 0; k < net->config().stages.size(); ++k) {
      const BoxOutput boxes = net->boxes(k, pyramid[0].slice(2, 0, 3).slice(3, 0, 3));
      add(boxes.logits), add(boxes.deltas);
      if (has_masks(kind)) add(net->masks(k, pyramid[0].slice(2, 0, 4).slice(3, 0, 4)));
    }
    loss.backward();
    for (const auto& item : net->named_parameters()) {
      ASSERT_TRUE(item.value().grad().defined()) << item.key();
      EXPECT_GT(item.value().grad().abs().max().item<double>(), 0) << item.key();
    }
  }
}

TEST(DetectorNet, NoRegionsGiveNoOutputs) {
  for (const auto kind : {DetectorKind::kMaskRcnn, DetectorKind::kCascade}) {
    DetectorNet net(small_spec(kind).config);
    net->eval();
    const BoxOutput boxes = net->boxes(0, torch::zeros({0, 6, 3, 3}));
    EXPECT_EQ(boxes.logits.sizes(), (torch::IntArrayRef{0, 3}));
    EXPECT_EQ(boxes.deltas.sizes(), (torch::IntArrayRef{0, 8}));
    EXPECT_EQ(net->masks(0, torch::zeros({0, 6, 4, 4})).sizes(), (torch::IntArrayRef{0, 2, 8, 8}));
  }
}

TEST(DetectorFlops, AreThePublishedOnes) {
  const std::vector<std::pair<const char*, double>> published{{"mask_rcnn_asmlp_tiny", 260.473},
                                                              {"mask_rcnn_asmlp_small", 345.721},
                                                              {"cascade_asmlp_tiny", 739.049},
                                                              {"cascade_asmlp_small", 824.297},
                                                              {"cascade_asmlp_base", 960.542}};
  for (const auto& [name, giga] : published) {
    DetectorConfig config = zoo_detector(name).config;
    const auto flops = static_cast<double>(multiply_adds(config, 800, 1280));
    EXPECT_EQ(std::round(flops / 1e6) / 1e3, giga) << name;
    // Without mask heads, what no masks would take.
    const int64_t boxes = multiply_adds(config, 800, 1280, 1000, 0);
    config.kind = is_cascade(config.kind) ? DetectorKind::kCascadeRcnn : DetectorKind::kFasterRcnn;
    EXPECT_EQ(multiply_adds(config, 800, 1280), boxes) << name;
  }
}

TEST(DetectorFile, ReadsBackToTheSameNetwork) {
  const test::TemporaryFolder folder;
  for (const auto kind : {DetectorKind::kMaskRcnn, DetectorKind::kCascade}) {
    DetectorSpec spec = small_spec(kind);
    spec.config.backbone.shift_size = {3, 3};
    DetectorNet net(spec.config);
    fill_module(*net);
    const auto path = folder.path() / "detector.safetensors";
    save_detector(path, spec, *net);
    const DetectorFile file = load_detector(path);
    EXPECT_EQ(file.spec, spec);
    EXPECT_FALSE(file.net->is_training());
    test::expect_same_tensors(nn::export_state(*file.net), nn::export_state(*net));
    // What the caller says must not contradict the file.
    EXPECT_EQ(load_detector(path, {spec, ShiftSize{3, 3}}).spec, spec);
    test::expect_words(test::error_of(ErrorCode::kMismatch,
                                      [&] {
                                        load_detector(path, {{}, ShiftSize{5, 5}});
                                      }),
                       {"shift size 5", "file says 3"});
    DetectorSpec other = spec;
    other.config.num_classes = 3;
    other.classes.clear();
    test::expect_words(test::error_of(ErrorCode::kMismatch,
                                      [&] {
                                        load_detector(path, {other, {}});
                                      }),
                       {"describes itself as 'small'"});
    test::expect_words(
        test::error_of(ErrorCode::kInvalidArgument, [&] { save_detector(path, other, *net); }),
        {"not the network's"});
  }
}

// A file as mmdet writes it, whose keys and values the script has made by itself.
TEST(DetectorFile, ReadsACheckpointOfMmdet) {
  const auto path = test::data("downstream/mmdet.pth");
  DetectorSpec spec = golden_spec("mask_rcnn");
  spec.config.backbone.depths = {1, 1};
  spec.config.roi.levels = 2;
  test::expect_words(test::error_of(ErrorCode::kInvalidArgument, [&] { load_detector(path, {}); }),
                     {"mmdet.pth", "architecture"});
  test::expect_words(test::error_of(ErrorCode::kInvalidArgument,
                                    [&] {
                                      load_detector(path, {spec, {}});
                                    }),
                     {"mmdet.pth", "shift size"});
  DetectorFile file = load_detector(path, {spec, ShiftSize{3, 3}});
  EXPECT_EQ(file.spec.config.backbone.shift_size, (ShiftSize{3, 3}));
  EXPECT_EQ(file.net->backbone()->config().shift_size, (ShiftSize{3, 3}));
  DetectorNet expected(file.spec.config);
  fill_module(*expected);
  test::expect_same_tensors(nn::export_state(*file.net), nn::export_state(*expected));

  DetectorSpec classes = spec;
  classes.config.num_classes = 4;
  test::expect_words(test::error_of(ErrorCode::kMismatch,
                                    [&] {
                                      load_detector(path, {classes, ShiftSize{5, 5}});
                                    }),
                     {"fc_cls.bias'", "has shape [4]", "needs [5]", "number of classes"});
  DetectorSpec deeper = spec;
  deeper.config.backbone.depths = {1, 2};
  test::expect_words(test::error_of(ErrorCode::kMismatch,
                                    [&] {
                                      load_detector(path, {deeper, ShiftSize{5, 5}});
                                    }),
                     {"20 missing (backbone.layers.1.blocks.1."});

  // The same file starts a backbone alone, and a part of it another detector.
  nn::Backbone backbone(spec.config.backbone);
  const nn::BackboneReport report = nn::load_backbone(*backbone, read_weights(path));
  EXPECT_TRUE(report.state.complete()) << nn::describe(report.state);
  EXPECT_TRUE(torch::equal(backbone->named_parameters()["norm1.weight"],
                           filled("backbone.norm1.weight", {12})));
}

}  // namespace
}  // namespace asmlp::detect::detector_net_test
