#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "asmlp/core/error.h"
#include "asmlp/model/flops.h"
#include "asmlp/model/params.h"
#include "asmlp/torch/io/backbone_weights.h"
#include "asmlp/torch/segment/segmentor_file.h"
#include "asmlp/torch/segment/segmentor_net.h"
#include "tests/support/modules.h"
#include "tests/support/weight_files.h"

namespace asmlp::segment::segmentor_test {
namespace {

using nn::fill_module, nn::filled;

SegmentorSpec golden_spec() {
  const auto file = read_safetensors(test::data("downstream/upernet.safetensors"));
  return segmentor_from_json(file.metadata.at("config"), "upernet");
}

// A composition of torch's functions, on the script's weights, with running statistics and with the
// batch's.
TEST(SegmentorNet, ComputesTheGoldenFigures) {
  nn::DownstreamGolden golden(test::data("downstream/upernet.safetensors"));
  SegmentorNet net(segmentor_from_json(golden.config(), "upernet").config);
  golden.expect_keys(*net);
  fill_module(*net);
  const auto image = filled("input.image", {2, 3, 43, 35});
  net->eval();
  const SegmentorOutput evaluated = net(image);
  golden.expect("eval.decode", evaluated.decode);
  EXPECT_FALSE(evaluated.auxiliary.defined());
  net->train();
  const SegmentorOutput trained = net(image);
  golden.expect("train.decode", trained.decode);
  golden.expect("train.auxiliary", trained.auxiliary);
}

TEST(SegmentorNet, HasThePublishedNumberOfParametersAndTensors) {
  const std::vector<std::tuple<const char*, int64_t, int64_t, size_t>> published{
      {"upernet_asmlp_tiny", 59'936'204, 59'012'406, 343},
      {"upernet_asmlp_small", 81'248'204, 80'324'406, 583},
      {"upernet_asmlp_base", 121'264'300, 120'045'590, 583}};
  ASSERT_EQ(published.size(), zoo_segmentor_names().size());
  for (const auto& [name, parameters, without_auxiliary, tensors] : published) {
    const SegmentorNet net(zoo_segmentor(name).config);
    int64_t auxiliary = 0;
    for (const auto& item : net->named_parameters()) {
      if (item.key().starts_with("auxiliary_head.")) auxiliary += item.value().numel();
    }
    EXPECT_EQ(nn::parameter_count(*net), parameters) << name;
    EXPECT_EQ(parameters - auxiliary, without_auxiliary) << name;
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
    EXPECT_EQ(recognized_segmentor(state), zoo_segmentor(name));
    state["decode_head.conv_seg.bias"].shape = {19};
    EXPECT_EQ(recognized_segmentor(state)->config.num_classes, 19) << name;
    state.erase("backbone.layers.0.blocks.0.mlp.fc1.weight");
    EXPECT_EQ(recognized_segmentor(state), std::nullopt) << name;
  }
}

TEST(SegmentorFlops, AreThePublishedOnes) {
  const std::vector<std::pair<const char*, double>> published{{"upernet_asmlp_tiny", 936.997},
                                                              {"upernet_asmlp_small", 1024.291},
                                                              {"upernet_asmlp_base", 1165.894}};
  for (const auto& [name, giga] : published) {
    const auto flops = static_cast<double>(multiply_adds(zoo_segmentor(name).config, 512, 2048));
    EXPECT_EQ(std::round(flops / 1e6) / 1e3, giga) << name;
  }
}

// Images of any size give logits and gradients. Dropout draws anew in training only.
TEST(SegmentorNet, TrainsOnAnySize) {
  SegmentorSpec spec = golden_spec();
  for (const auto& [h, w] : {std::pair{64, 64}, {33, 50}, {5, 3}}) {
    SegmentorNet net(spec.config);
    fill_module(*net);
    const SegmentorOutput output = net(filled("input.image", {2, 3, h, w}));
    EXPECT_EQ(output.decode.sizes(), (torch::IntArrayRef{2, 4, (h + 3) / 4, (w + 3) / 4}));
    EXPECT_EQ(output.auxiliary.sizes(), (torch::IntArrayRef{2, 4, (h + 7) / 8, (w + 7) / 8}));
    (output.decode.square().mean() + output.auxiliary.square().mean()).backward();
    for (const auto& item : net->named_parameters()) {
      ASSERT_TRUE(item.value().grad().defined()) << item.key();
      EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>()) << item.key();
    }
  }
  torch::manual_seed(3);
  spec.config.decode_head.dropout = spec.config.auxiliary_head.dropout = 0.5;
  SegmentorNet net(spec.config);
  const auto image = filled("input.image", {2, 3, 40, 40});
  const SegmentorOutput once = net(image), again = net(image);
  EXPECT_FALSE(torch::equal(once.decode, again.decode));
  EXPECT_FALSE(torch::equal(once.auxiliary, again.auxiliary));
  net->eval();
  EXPECT_TRUE(torch::equal(net(image).decode, net(image).decode));
}

TEST(SegmentorFile, ReadsBackToTheSameNetwork) {
  const test::TemporaryFolder folder;
  SegmentorSpec spec = golden_spec();
  spec.classes = {"sky", "tree", "road", "sea"};
  SegmentorNet net(spec.config);
  fill_module(*net);
  const auto path = folder.path() / "segmentor.safetensors";
  save_segmentor(path, spec, *net);
  const SegmentorFile file = load_segmentor(path);
  EXPECT_EQ(file.spec, spec);
  test::expect_same_tensors(nn::export_state(*file.net), nn::export_state(*net));
  // Its backbone says the shift size.
  nn::Backbone backbone(spec.config.backbone);
  const nn::BackboneReport report = nn::load_backbone(*backbone, read_weights(path));
  EXPECT_EQ(report.shift_size, spec.config.backbone.shift_size);
  EXPECT_TRUE(report.state.complete());
}

TEST(SegmentorFile, ReadsACheckpointOfMmseg) {
  const auto path = test::data("downstream/mmseg.pth");
  SegmentorSpec spec = golden_spec();
  spec.config.backbone.depths = {1, 1};
  test::error_of(ErrorCode::kInvalidArgument, [&] { load_segmentor(path, {spec, {}}); });
  const SegmentorFile file = load_segmentor(path, {spec, ShiftSize{5, 5}});
  SegmentorNet expected(spec.config);
  fill_module(*expected);
  test::expect_same_tensors(nn::export_state(*file.net), nn::export_state(*expected));
}

TEST(SegmentorConfig, JsonReadsBackEqualAndMistakesAreNamed) {
  for (const std::string& name : zoo_segmentor_names()) {
    SegmentorSpec spec = zoo_segmentor(name);
    EXPECT_EQ(spec.preprocessing.long_side, 2048);
    spec.config.decode_head.dropout = 0.3;
    spec.config.backbone.shift_size = {3, 3};
    EXPECT_EQ(segmentor_from_json(to_json(spec), name), spec);
  }
  const auto refused = [](const std::string& config, const std::vector<std::string>& words) {
    const std::string text = R"({"model": "upernet_asmlp_tiny", "config": )" + config + "}";
    test::expect_words(
        test::error_of(ErrorCode::kInvalidArgument, [&] { segmentor_from_json(text, "s.json"); }),
        words);
  };
  refused(R"({"auxiliary_head": {"stage": 4}})", {"auxiliary_head.stage", "4", "3"});
  refused(R"({"ignore_label": 3})", {"ignore_label 3", "150"});
  refused(R"({"class_weights": [1, 2]})", {"2 class_weights", "150"});
  refused(R"({"decode_head": {"pool_scale": [1]}})", {"'pool_scale'", "'pool_scales'"});
}

}  // namespace
}  // namespace asmlp::segment::segmentor_test
