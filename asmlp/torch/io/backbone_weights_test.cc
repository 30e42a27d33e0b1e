#include "asmlp/torch/io/backbone_weights.h"

#include <gtest/gtest.h>

#include <random>

#include "asmlp/core/error.h"
#include "asmlp/model/flops.h"
#include "asmlp/model/params.h"
#include "asmlp/model/zoo.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/nn/backbone.h"
#include "asmlp/torch/ops/functional.h"
#include "asmlp/weights/checkpoint.h"
#include "tests/support/modules.h"
#include "tests/support/random_config.h"
#include "tests/support/weight_files.h"

namespace asmlp::nn::backbone_weights_test {
namespace {

const test::ConfigChoices kChoices{.in_chans = {1, 3},
                                   .num_classes = {0},
                                   .embed_dim = {1, 3, 4, 7, 10},
                                   .stages = {1, 2, 3, 4},
                                   .blocks = {0, 1, 2},
                                   .patch_size = {1, 2, 4},
                                   .mlp_ratio = {1, 2.5, 4},
                                   .shift_h = {1, 3, 5},
                                   .shift_w = {1, 3, 5},
                                   .dilation = {1, 2}};

Config small_config(std::vector<int> depths) {
  Config config;
  config.num_classes = 0;
  config.embed_dim = 6;
  config.depths = std::move(depths);
  return config;
}

TEST(Backbone, HasTheKeysAndTotalsOfTheAuthors) {
  const std::vector<std::tuple<const char*, int64_t, size_t>> published{
      {"asmlp_tiny_patch4_shift5_224", 27'515'040, 261},
      {"asmlp_small_patch4_shift5_224", 48'827'040, 501},
      {"asmlp_base_patch4_shift5_224", 86'729'600, 501}};
  for (const auto& [name, parameters, tensors] : published) {
    const Config config = zoo_model(name).config;
    const Backbone backbone(config);
    EXPECT_EQ(parameter_count(*backbone), parameters) << name;
    std::map<std::string, Shape> expected;
    for (const Param& param : parameter_table(config)) {
      if (param.name.starts_with("norm.") || param.name.starts_with("head.")) continue;
      expected[param.name] = param.shape;
    }
    for (int stage = 0; stage < 4; ++stage) {
      for (const char* part : {"weight", "bias"}) {
        expected[fmt::format("norm{}.{}", stage, part)] = {config.dim(stage)};
      }
    }
    std::map<std::string, Shape> found;
    for (const auto& [key, tensor] : export_state(*backbone)) found[key] = tensor.shape;
    EXPECT_EQ(found, expected) << name;
    EXPECT_EQ(found.size(), tensors) << name;
  }
}

TEST(Backbone, MapsHaveStrides4To32RoundedUp) {
  const torch::NoGradGuard no_grad;
  Backbone backbone(small_config({1, 1, 1, 1}));
  const std::vector<std::pair<MapSize, std::vector<MapSize>>> cases{
      {{800, 1088}, {{200, 272}, {100, 136}, {50, 68}, {25, 34}}},
      {{512, 683}, {{128, 171}, {64, 86}, {32, 43}, {16, 22}}},
      {{1, 5}, {{1, 2}, {1, 1}, {1, 1}, {1, 1}}}};
  for (const auto& [image, sizes] : cases) {
    const auto maps = backbone(torch::randn({1, 3, image.h, image.w}));
    ASSERT_EQ(maps.size(), sizes.size());
    for (size_t k = 0; k < maps.size(); ++k) {
      EXPECT_EQ(maps[k].sizes(), (torch::IntArrayRef{1, 6 << k, sizes[k].h, sizes[k].w}));
      EXPECT_TRUE(maps[k].is_contiguous(torch::MemoryFormat::ChannelsLast));
    }
  }
}

// What the classifier has before its final norm, when it ends after stage k, is what goes through
// norm k here; and the classifier is compared with the authors' numbers elsewhere.
TEST(Backbone, EveryMapIsThatOfAClassifierThatEndsThere) {
  const unsigned seed = 31;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  torch::manual_seed(seed);
  const torch::NoGradGuard no_grad;
  for (int i = 0; i < 12; ++i) {
    const Config config = test::random_config(random, kChoices);
    Backbone backbone(config);
    fill_module(*backbone);
    backbone->eval();
    const TensorMap weights = export_state(*backbone);
    const int h = 1 + static_cast<int>(random() % 40), w = 1 + static_cast<int>(random() % 40);
    const auto image = torch::randn({2, config.in_chans, h, w});
    const auto maps = backbone(image);
    for (int stage = 0; stage < config.num_stages(); ++stage) {
      Config part = config;
      part.depths.resize(static_cast<size_t>(stage) + 1);
      AsMlp classifier(part);
      load_state(*classifier, weights, "backbone");
      classifier->eval();
      const auto x = classifier->forward_features(image).back().permute({0, 2, 3, 1});
      const auto parameters = backbone->named_parameters();
      const auto expected = fused_group_norm(x, parameters[fmt::format("norm{}.weight", stage)],
                                             parameters[fmt::format("norm{}.bias", stage)]);
      EXPECT_TRUE(torch::equal(maps[static_cast<size_t>(stage)], expected.permute({0, 3, 1, 2})))
          << "config " << i << ", stage " << stage << ", " << h << " x " << w;
    }
  }
}

TEST(Backbone, CheckpointingKeepsTheBitsOfGradients) {
  Config config = small_config({2, 1, 2});
  config.drop_path = 0.5;
  Backbone backbone(config);
  fill_module(*backbone);
  const auto gradients = [&](bool checkpointing) {
    backbone->set_checkpointing(checkpointing);
    backbone->zero_grad();
    torch::manual_seed(4);
    torch::Tensor loss = torch::zeros({});
    for (const auto& map : backbone(torch::randn({3, 3, 37, 30}))) {
      loss = loss + map.square().mean() + map.pow(3).mean();
    }
    loss.backward();
    std::vector<torch::Tensor> all;
    for (const auto& parameter : backbone->parameters()) all.push_back(parameter.grad().clone());
    return all;
  };
  const auto kept = gradients(false), again = gradients(true);
  for (size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(torch::equal(kept[i], again[i])) << i;
  double least = INFINITY;  // every parameter has an effect on the loss
  for (const auto& gradient : kept) least = std::min(least, gradient.abs().max().item<double>());
  EXPECT_GT(least, 0);
}

TEST(Backbone, RefusesAnotherNumberOfChannels) {
  Backbone backbone(small_config({1}));
  const std::string message = test::error_of(ErrorCode::kInvalidArgument, [&] {
    backbone(torch::zeros({1, 4, 8, 8}));
  });
  test::expect_words(message, {"[1, 4, 8, 8]", "N x 3 x H x W"});
}

// A rule of its own, counted on the layers.
TEST(BackboneFlops, AreThoseOfTheClassifierAndTheNorms) {
  Config config = zoo_model("asmlp_tiny_patch4_shift5_224").config;
  config.num_classes = 0;
  int64_t bias = 0,
          norms = 0;  // the classifier's convention counts neither bias nor all norms alike
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t positions = (224 >> (2 + stage)) * (224 >> (2 + stage)), c = config.dim(stage);
    bias += config.depths[static_cast<size_t>(stage)] * 9 * c * positions;
    norms += (config.depths[static_cast<size_t>(stage)] * 8 + 2) * c * positions;
    if (stage == 0) bias += c * positions, norms += 2 * c * positions;
    if (stage > 0) norms += 2 * 2 * c * positions;  // 4C of the stage before
  }
  int64_t products = 0;
  for (const Param& param : parameter_table(config)) {
    if (param.shape.size() != 4) continue;
    const bool embedding = param.name.starts_with("patch_embed");
    const int stage = embedding ? 0 : param.name[7] - '0';
    const int at = stage + (param.name.find("reduction") != std::string::npos ? 1 : 0);
    products += element_count(param.shape) * (224 >> (2 + at)) * (224 >> (2 + at));
  }
  EXPECT_EQ(backbone_flops(config, 224, 224), products + bias + norms);
}

TEST(BackboneWeights, AnImageNetFileLeavesFourOverAndEightOpen) {
  for (const char* name : {"official_zip.pth", "official_legacy.pth"}) {
    const auto path = test::data(std::string("golden/checkpoints/") + name);
    const Checkpoint checkpoint = load_checkpoint(path);
    Backbone backbone(checkpoint.spec.config);
    const BackboneReport report = load_backbone(*backbone, read_weights(path));
    EXPECT_EQ(report.state.unexpected,
              (std::vector<std::string>{"head.bias", "head.weight", "norm.bias", "norm.weight"}));
    EXPECT_EQ(
        report.state.missing,
        (std::vector<std::string>{"norm0.bias", "norm0.weight", "norm1.bias", "norm1.weight",
                                  "norm2.bias", "norm2.weight", "norm3.bias", "norm3.weight"}));
    EXPECT_EQ(describe(report.state),
              "4 unexpected (head.bias, head.weight, norm.bias, ...), 8 missing (norm0.bias, "
              "norm0.weight, norm1.bias, ...)");
    EXPECT_FALSE(report.shift_size);
    ASSERT_EQ(report.notes.size(), 1u);
    test::expect_words(report.notes[0], {"does not say its shift size", "5"});
    size_t equal = 0;
    for (const auto& [key, tensor] : export_state(*backbone)) {
      const auto found = checkpoint.tensors.find(key);
      if (found != checkpoint.tensors.end()) equal += test::same_tensor(tensor, found->second);
    }
    EXPECT_EQ(equal, checkpoint.tensors.size() - 4);
  }
}

TEST(BackboneWeights, AnotherShiftSizeIsSaid) {
  const test::TemporaryFolder folder;
  Config config = small_config({1, 1});
  config.num_classes = 3;
  config.shift_size = {3, 3};
  ModelSpec spec;
  spec.config = config;
  save_checkpoint(folder.path() / "small.safetensors", {spec, fill_parameters(config)});
  Backbone same(config);
  BackboneReport report = load_backbone(*same, read_weights(folder.path() / "small.safetensors"));
  EXPECT_EQ(report.shift_size, (ShiftSize{3, 3}));
  EXPECT_TRUE(report.notes.empty());
  config.shift_size = {5, 3};
  Backbone other(config);
  report = load_backbone(*other, read_weights(folder.path() / "small.safetensors"));
  ASSERT_EQ(report.notes.size(), 1u);
  test::expect_words(report.notes[0], {"shift size 3", "[5, 3]"});
  EXPECT_EQ(other->config().shift_size, (ShiftSize{5, 3}));
}

TEST(BackboneWeights, AnotherArchitectureIsAnError) {
  const auto path = test::data("golden/checkpoints/official_zip.pth");
  Backbone wider(small_config({2, 1, 1, 1}));
  test::expect_words(
      test::error_of(ErrorCode::kMismatch, [&] { load_backbone(*wider, read_weights(path)); }),
      {"official_zip.pth", "has shape [", "needs ["});
  const test::TemporaryFolder folder;
  write_safetensors(folder.path() / "x.safetensors", {{"weight", make_tensor({1}, {1.0f})}});
  test::expect_words(
      test::error_of(ErrorCode::kMismatch,
                     [&] { load_backbone(*wider, read_weights(folder.path() / "x.safetensors")); }),
      {"not the weights of an AS-MLP", "conv2_1.weight"});
}

TEST(LoadState, AWrongShapeNamesItAndChangesNothing) {
  torch::nn::Sequential module(torch::nn::Linear(2, 3), torch::nn::Linear(3, 2));
  const auto before = module->parameters()[0].clone();
  TensorMap tensors = export_state(*module);
  for (auto& [name, tensor] : tensors) {
    tensor = make_tensor(tensor.shape, std::vector<float>(size_t(element_count(tensor.shape)), 2));
  }
  tensors["1.weight"] = make_tensor({2, 4}, std::vector<float>(8));
  test::expect_words(
      test::error_of(ErrorCode::kMismatch, [&] { load_state(*module, tensors, "f.pth"); }),
      {"f.pth", "'1.weight'", "[2, 4]", "[2, 3]"});
  EXPECT_TRUE(torch::equal(module->parameters()[0], before));
}

// fp16 weights and an integer count, as files may have them.
TEST(LoadState, ConvertsToTheTypesOfTheModule) {
  torch::nn::BatchNorm2d norm(2);
  TensorMap tensors = export_state(*norm);
  const std::vector<uint16_t> halves{0x3e00, 0xc000};  // 1.5, -2
  const auto owner = std::make_shared<std::vector<uint16_t>>(halves);
  tensors["weight"] = {DType::kF16, {2}, std::as_bytes(std::span(*owner)), owner};
  const auto count = std::make_shared<int64_t>((int64_t{1} << 60) + 1);
  tensors["num_batches_tracked"] = {
      DType::kI64, {}, std::as_bytes(std::span(count.get(), 1)), count};
  EXPECT_TRUE(load_state(*norm, tensors, "file").complete());
  EXPECT_TRUE(torch::equal(norm->weight, torch::tensor({1.5f, -2.0f})));
  EXPECT_EQ(norm->num_batches_tracked.item<int64_t>(), (int64_t{1} << 60) + 1);
}

}  // namespace
}  // namespace asmlp::nn::backbone_weights_test
