#include "asmlp/torch/nn/as_mlp.h"

#include <gtest/gtest.h>

#include <random>

#include "asmlp/core/error.h"
#include "asmlp/model/params.h"
#include "asmlp/model/zoo.h"
#include "tests/support/gradients.h"
#include "tests/support/random_config.h"

namespace asmlp::nn::as_mlp_test {
namespace {

// Names, shapes and order of named_parameters() are those of the one parameter table.
void expect_table(const Config& config) {
  AsMlp model(config);
  const auto parameters = model->named_parameters();
  const auto table = parameter_table(config);
  ASSERT_EQ(parameters.size(), table.size());
  for (size_t i = 0; i < table.size(); ++i) {
    EXPECT_EQ(parameters[i].key(), table[i].name);
    EXPECT_EQ(Shape(parameters[i].value().sizes().begin(), parameters[i].value().sizes().end()),
              table[i].shape)
        << table[i].name;
  }
}

Config small_config(int embed_dim, std::vector<int> depths) {
  Config config;
  config.num_classes = 5;
  config.embed_dim = embed_dim;
  config.depths = std::move(depths);
  return config;
}

const test::ConfigChoices kChoices{.in_chans = {1, 2, 3, 4},
                                   .num_classes = {0, 1, 2, 3, 4, 5},
                                   .embed_dim = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13},
                                   .stages = {1, 2, 3, 4},
                                   .blocks = {0, 1, 2},
                                   .patch_size = {1, 2, 3, 4},
                                   .mlp_ratio = {1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5},
                                   .shift_h = {1, 2, 3, 4, 5, 6, 7},
                                   .shift_w = {1, 2, 3, 4, 5, 6, 7},
                                   .dilation = {1, 2, 3}};

TEST(AsMlpNames, ZooModelsMatchTheParameterTable) {
  for (const auto& name : zoo_names()) expect_table(zoo_model(name).config);
}

TEST(AsMlpNames, RandomModelsMatchTheParameterTable) {
  std::mt19937 random(11);
  for (int i = 0; i < 30; ++i) expect_table(test::random_config(random, kChoices));
}

// Any image size works, and every feature map has the size stage_sizes foretells.
TEST(AsMlp, FeatureShapesForAnyImageSize) {
  std::mt19937 random(12);
  torch::NoGradGuard no_grad;
  for (int i = 0; i < 30; ++i) {
    const Config config = test::random_config(random, kChoices);
    const int h = 1 + static_cast<int>(random() % 37);
    const int w = 1 + static_cast<int>(random() % 37);
    AsMlp model(config);
    const auto features = model->forward_features(torch::randn({2, config.in_chans, h, w}));
    auto sizes = stage_sizes(config, h, w);
    ASSERT_EQ(features.size(), sizes.size() + 1);
    for (size_t k = 0; k < features.size(); ++k) {
      const size_t stage = std::min(k, sizes.size() - 1);
      EXPECT_EQ(features[k].sizes(), (torch::IntArrayRef{2, config.dim(static_cast<int>(stage)),
                                                         sizes[stage].h, sizes[stage].w}));
    }
    const auto output = model->forward_head(features.back());
    EXPECT_EQ(output.size(1), config.num_classes > 0 ? config.num_classes : config.num_features());
    EXPECT_TRUE(output.isfinite().all().item<bool>());
  }
}

// GroupNorm works per sample, so a batch is its samples one by one.
TEST(AsMlp, SamplesAreIndependent) {
  torch::NoGradGuard no_grad;
  AsMlp model(small_config(12, {1, 1}));
  const auto input = torch::randn({3, 3, 30, 22});
  const auto together = model(input);
  for (int n = 0; n < 3; ++n) {
    EXPECT_TRUE(
        torch::allclose(model(input.slice(0, n, n + 1)), together.slice(0, n, n + 1), 1e-4, 1e-5));
  }
}

TEST(AsMlp, ParametersSurviveExportAndLoad) {
  const Config config = small_config(10, {1, 1});
  AsMlp first(config), second(config);
  load_parameters(*second, export_parameters(*first));
  for (const auto& item : first->named_parameters()) {
    EXPECT_TRUE(item.value().equal(second->named_parameters()[item.key()])) << item.key();
  }
  const auto input = torch::randn({1, 3, 16, 16});
  EXPECT_TRUE(first(input).equal(second(input)));
}

TEST(AsMlp, LoadNamesTheParameterThatDoesNotFit) {
  AsMlp model(small_config(10, {1}));
  const auto before = export_parameters(*model);
  const auto expect_refused = [&](const TensorMap& tensors, const std::string& culprit) {
    try {
      load_parameters(*model, tensors);
      ADD_FAILURE() << culprit;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kMismatch);
      EXPECT_NE(std::string(error.what()).find(culprit), std::string::npos) << error.what();
    }
  };
  TensorMap missing = before;
  missing.erase("head.bias");
  expect_refused(missing, "head.bias");
  TensorMap extra = before;
  extra["head.scale"] = make_tensor({1}, {1});
  expect_refused(extra, "head.scale");
  TensorMap wrong = before;
  wrong["norm.weight"] = make_tensor({9}, std::vector<float>(9));
  expect_refused(wrong, "norm.weight");
}

TEST(AsMlp, WrongInputIsRefused) {
  AsMlp model(small_config(8, {1}));
  EXPECT_THROW(model(torch::randn({1, 4, 8, 8})), Error);
  EXPECT_THROW(model(torch::randn({3, 8, 8})), Error);
  EXPECT_THROW(model(torch::randn({1, 3, 0, 8})), Error);
}

// The official initialization: PyTorch's defaults, the head apart.
TEST(AsMlp, InitializationFollowsTheAuthors) {
  torch::manual_seed(3);
  AsMlp model(small_config(64, {1, 1}));
  const auto parameters = model->named_parameters();
  EXPECT_NEAR(parameters["head.weight"].std().item<double>(), 0.02, 0.002);
  EXPECT_EQ(parameters["head.bias"].abs().max().item<double>(), 0);
  EXPECT_EQ(parameters["norm.weight"].min().item<double>(), 1);
  // Kaiming uniform with a = sqrt 5 is uniform within +-1 / sqrt(fan in).
  const auto conv = parameters["layers.1.blocks.0.axial_shift.conv1.weight"];
  EXPECT_NEAR(conv.abs().max().item<double>(), 1 / std::sqrt(128.0), 1e-3);
  EXPECT_NEAR(conv.std().item<double>(), 1 / std::sqrt(3 * 128.0), 1e-3);
}

// Gradients of a tiny model in fp64 with respect to the input and to every parameter, once for
// every padding mode and connection.
TEST(AsMlp, GradcheckByFiniteDifferences) {
  torch::manual_seed(5);
  for (int i = 0; i < 8; ++i) {
    Config config = small_config(5, {1, 1});
    config.in_chans = 1;
    config.num_classes = 2;
    config.patch_size = 2;
    config.mlp_ratio = 1;
    config.shift_size = {3, 5};
    config.padding = static_cast<Padding>(i / 2);
    config.connection = static_cast<Connection>(i % 2);
    AsMlp model(config);
    model->to(torch::kFloat64);
    const auto input = torch::randn({2, 1, 9, 5}, torch::kFloat64);
    EXPECT_LT(gradient_error([&](const torch::Tensor& x) { return model(x); }, input), 1e-7) << i;
    for (auto& item : model->named_parameters()) {
      auto parameter = item.value();
      const auto direction = torch::randn_like(parameter);
      const auto weights = torch::randn({2, 2}, torch::kFloat64);
      const auto value_at = [&](double offset) {
        torch::NoGradGuard no_grad;
        parameter.add_(direction, offset);
        const double value = (model(input) * weights).sum().item<double>();
        parameter.add_(direction, -offset);
        return value;
      };
      const double numeric = (value_at(1e-5) - value_at(-1e-5)) / 2e-5;
      const auto gradient = torch::autograd::grad({(model(input) * weights).sum()}, {parameter})[0];
      const double analytic = (gradient * direction).sum().item<double>();
      EXPECT_NEAR(analytic, numeric, 1e-7 * std::max(1.0, std::abs(numeric))) << item.key();
    }
  }
}

// Whole samples are dropped, the survivors scaled, and the expectation stays.
TEST(DropPath, DropsSamplesAndKeepsTheMean) {
  torch::manual_seed(4);
  const auto x = torch::ones({4000, 2, 1, 3});
  const auto y = drop_path(x, 0.3, /*training=*/true);
  EXPECT_NEAR(y.mean().item<double>(), 1.0, 0.05);
  const auto per_sample = y.view({4000, -1});
  EXPECT_TRUE(
      ((per_sample == 0).all(1) | (per_sample - 1 / 0.7).abs().lt(1e-6).all(1)).all().item<bool>());
  EXPECT_TRUE(drop_path(x, 0.3, /*training=*/false).equal(x));
}

}  // namespace
}  // namespace asmlp::nn::as_mlp_test
