// The compared models themselves: against torchvision's and timm's numbers, against finite
// differences, against AS-MLP where the two must agree.
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "asmlp/core/error.h"
#include "asmlp/model/baselines/architecture.h"
#include "asmlp/torch/baselines/make_classifier.h"
#include "asmlp/torch/baselines/swin.h"
#include "asmlp/torch/ops/batched_gemm.h"
#include "asmlp/weights/fill.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/gradients.h"
#include "tests/support/support.h"

namespace asmlp::nn::baselines_test {
namespace {

// One small description per family and variant; images of `size` pixels.
std::vector<Architecture> small_architectures() {
  std::vector<Architecture> all;
  for (const char* text :
       {R"({"family": "swin", "embed_dim": 6, "depths": [2, 3], "num_heads": [3, 2],
           "window_size": 3, "patch_size": 2, "mlp_ratio": 1.5})",
        R"({"family": "swin", "embed_dim": 4, "depths": [1], "num_heads": [2], "patch_size": 4,
           "patch_norm": false})",
        R"({"family": "mlp_mixer", "embed_dim": 6, "depth": 2, "patch_size": 4})",
        R"({"family": "res_mlp", "embed_dim": 5, "depth": 2, "patch_size": 4, "mlp_ratio": 2,
           "init_values": 0.5})",
        R"({"token_mixer": "global_mlp", "embed_dim": 4, "depths": [1, 2]})",
        R"({"token_mixer": "axial_mlp", "embed_dim": 4, "depths": [1, 1, 1]})",
        R"({"token_mixer": "axial_mlp", "embed_dim": 5, "depths": [2], "connection": "serial"})",
        R"({"token_mixer": "window_mlp", "embed_dim": 4, "depths": [1, 1], "window_size": 2})"}) {
    auto json = nlohmann::json::parse(text);
    json["img_size"] = 12;
    json["num_classes"] = 3;
    json["in_chans"] = 2;
    all.push_back(architecture_from_json(json.dump(), "test"));
  }
  return all;
}

torch::Tensor filled(const std::string& name, torch::IntArrayRef shape) {
  const auto values = to_f32(fill_tensor(name, Shape(shape.begin(), shape.end())));
  return torch::tensor(values).view(shape);
}

// The fill rule on all parameters: unlike some initializations it leaves none of them without
// effect.
void fill_all(torch::nn::Module& model) {
  torch::NoGradGuard no_grad;
  for (auto& item : model.named_parameters()) {
    item.value().copy_(filled(item.key(), item.value().sizes()));
  }
}

Classifier filled_classifier(const Architecture& architecture) {
  auto model = make_classifier(architecture);
  fill_all(*model);
  model->eval();
  return model;
}

int64_t elements(const torch::nn::Module& model) {
  int64_t count = 0;
  for (const auto& parameter : model.parameters()) count += parameter.numel();
  return count;
}

std::span<const float> values(const torch::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

// Views as attention has them, in every combination of transposed and strided, and a gradient of a
// gradient.
TEST(BatchedProduct, IsMatmulOnAnyView) {
  torch::manual_seed(9);
  const auto options = torch::kFloat64;
  const std::pair<torch::Tensor, torch::Tensor> kFactors[] = {
      {torch::randn({3, 2, 5, 4}, options), torch::randn({3, 2, 4, 6}, options)},
      {torch::randn({3, 5, 2, 4}, options).transpose(1, 2),
       torch::randn({3, 6, 2, 4}, options).permute({0, 2, 3, 1})},
      {torch::randn({3, 2, 4, 5}, options).transpose(2, 3),
       torch::randn({3, 2, 8, 6}, options).slice(2, 0, 8, 2)},
      {torch::randn({3, 2, 5, 8}, options).slice(3, 0, 8, 2),
       torch::randn({1, 2, 4, 1}, options).expand({3, 2, 4, 6})},
      {torch::randn({2, 1, 1, 1}, options), torch::randn({2, 1, 1, 3}, options)},
  };
  for (const auto& [a, b] : kFactors) {
    EXPECT_TRUE(torch::allclose(batched_product(a, b), torch::matmul(a, b)));
    const auto other = b;
    const auto square = [&](const torch::Tensor& x) {
      const auto left = x.requires_grad() ? x : x.detach().requires_grad_();
      const auto y = batched_product(left, other);
      return torch::autograd::grad({(y * y * y).sum()}, {left}, {}, true, true)[0];
    };
    EXPECT_LT(gradient_error([&](const torch::Tensor& x) { return batched_product(x, other); }, a),
              1e-7);
    EXPECT_LT(gradient_error(square, a), 1e-6);
    const auto first = a;
    EXPECT_LT(gradient_error([&](const torch::Tensor& x) { return batched_product(first, x); }, b),
              1e-7);
  }
  EXPECT_EQ(batched_product(torch::zeros({2, 2, 0, 3}), torch::zeros({2, 2, 3, 4})).size(2), 0);
  EXPECT_THROW(batched_product(torch::zeros({2, 2, 3, 3}), torch::zeros({2, 2, 4, 3})), Error);
}

class Golden : public testing::TestWithParam<const char*> {};

// fp32 against float64 of an independent implementation. Sums of up to some hundred products per
// layer and a dozen layers: 2e-5 of the largest logit.
TEST_P(Golden, LogitsAndFeaturesAreTheOtherImplementations) {
  torch::NoGradGuard no_grad;
  const TensorFile file =
      read_safetensors(test::data("comparisons/" + std::string(GetParam()) + ".safetensors"));
  const auto model =
      filled_classifier(architecture_from_json(file.metadata.at("asmlp_architecture"), GetParam()));
  const auto shape = nlohmann::json::parse(file.metadata.at("input")).get<std::vector<int64_t>>();
  const auto input = filled("input", shape);
  const auto logits = model->forward(input).contiguous();
  EXPECT_LT(test::relative_error(values(logits), to_f32(file.tensors.at("logits"))), 2e-5);
  auto* swin = dynamic_cast<SwinImpl*>(model.get());
  if (swin == nullptr || !file.tensors.contains("feature.0")) return;
  const auto features = swin->forward_features(input);
  for (size_t k = 0; k < features.size(); ++k) {
    const auto expected = to_f32(file.tensors.at("feature." + std::to_string(k)));
    EXPECT_LT(test::relative_error(values(features[k].contiguous()), expected), 2e-5) << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Comparisons, Golden,
                         testing::Values("swin_odd_maps", "swin_small_maps", "swin_tiny",
                                         "mlp_mixer", "res_mlp"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Baselines, ParameterFormulasCountTheModules) {
  auto all = small_architectures();
  for (const char* name : {"swin_mobile_patch4_window7_224", "asmlp_mobile_patch4_axial_224",
                           "asmlp_mobile_patch4_window7_224", "mixer_s16_224", "resmlp_12_224"}) {
    all.push_back(resolve_architecture(name));
  }
  for (const auto& architecture : all) {
    EXPECT_EQ(parameter_count(architecture), elements(*make_classifier(architecture)))
        << to_json(architecture);
  }
}

// What a forward pass hands to matrix products, and the elements it normalizes.
struct Work {
  int64_t products = 0;
  int64_t norms = 0;
};
thread_local Work counted;

std::unique_ptr<at::ObserverContext> count_work(const at::RecordFunction& call) {
  const std::string name = call.name();
  const auto& in = call.inputs();
  const auto tensor = [&](size_t i) { return in[i].toTensor(); };
  if (name == "aten::mm") {
    counted.products += tensor(0).numel() * tensor(1).size(1);
  } else if (name == "aten::addmm") {
    counted.products += tensor(1).numel() * tensor(2).size(1);
  } else if (name == "aten::bmm") {
    counted.products += tensor(0).numel() * tensor(1).size(2);
  } else if (name == "aten::native_layer_norm") {
    counted.norms += tensor(0).numel();
  }
  return nullptr;
}

// In bf16 the projections are eager of ATen's operations, which can be watched.
Work work_of(const Architecture& architecture, int h, int w) {
  torch::NoGradGuard no_grad;
  const auto model = make_classifier(architecture);
  model->eval();
  model->to(torch::kBFloat16);
  const auto input = torch::ones({1, architecture.spec.config.in_chans, h, w}, torch::kBFloat16);
  counted = {};
  const auto handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(count_work).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  model->forward(input);
  at::removeCallback(handle);
  return counted;
}

// What the formulas count besides products and norms, and where they count a norm otherwise.
int64_t other_work(const Architecture& architecture, int h, int w) {
  const Config& config = architecture.spec.config;
  // The authors of Swin and AS-MLP count the last norm on T_0 / 2^stages tokens.
  const auto last_norm = [&](int64_t dim, int64_t patch, size_t stages) {
    int64_t rows = (h + patch - 1) / patch, columns = (w + patch - 1) / patch;
    const int64_t counted_as = dim * rows * columns / (int64_t{1} << stages);
    for (size_t i = 1; i < stages; ++i) {
      rows = (rows + 1) / 2;
      columns = (columns + 1) / 2;
    }
    return counted_as - dim * rows * columns;
  };
  if (const auto* swin = std::get_if<SwinConfig>(&architecture.family)) {
    const size_t stages = swin->depths.size();
    return last_norm(int64_t{swin->embed_dim} << (stages - 1), swin->patch_size, stages);
  }
  if (const auto* res_mlp = std::get_if<ResMlpConfig>(&architecture.family)) {
    const int64_t tokens = (h / res_mlp->patch_size) * (w / res_mlp->patch_size);
    return tokens * res_mlp->embed_dim * (4 * res_mlp->depth + 1);  // affines, layer scales
  }
  if (const auto* mixer = std::get_if<TokenMixerConfig>(&architecture.family)) {
    int64_t sums = 0;  // of the two branches
    if (mixer->mixer == TokenMixer::kAxialMlp && config.connection == Connection::kParallel) {
      const auto maps = stage_sizes(config, h, w);
      for (int stage = 0; stage < config.num_stages(); ++stage) {
        sums += int64_t{config.depths[stage]} * config.dim(stage) * maps[stage].h * maps[stage].w;
      }
    }
    return sums + last_norm(config.num_features(), config.patch_size, config.depths.size());
  }
  return 0;
}

TEST(Baselines, MultiplyAddsAreThoseOfAForwardPass) {
  for (Architecture architecture : small_architectures()) {
    for (int size : {16, 32}) {
      architecture.spec.preprocessing.size = size;
      const Work work = work_of(architecture, size, size);
      ASSERT_GT(work.products, 0);
      EXPECT_EQ(multiply_adds(architecture, size, size),
                work.products + work.norms + other_work(architecture, size, size))
          << size << " " << to_json(architecture);
    }
  }
}

// fp64: with respect to the input, and along one direction in the space of all parameters.
TEST(Baselines, GradientsByFiniteDifferences) {
  torch::manual_seed(6);
  for (const auto& architecture : small_architectures()) {
    const auto model = filled_classifier(architecture);
    model->to(torch::kFloat64);
    const auto input = torch::randn({2, 2, 12, 12}, torch::kFloat64);
    const auto weights = torch::randn({2, 3}, torch::kFloat64);
    EXPECT_LT(gradient_error([&](const torch::Tensor& x) { return model->forward(x); },
                             input.slice(0, 0, 1)),
              1e-6)
        << to_json(architecture);
    for (auto& item : model->named_parameters()) {
      auto parameter = item.value();
      const auto direction = torch::randn_like(parameter);
      const auto value_at = [&](double offset) {
        torch::NoGradGuard no_grad;
        parameter.add_(direction, offset);
        const double value = (model->forward(input) * weights).sum().item<double>();
        parameter.add_(direction, -offset);
        return value;
      };
      const double numeric = (value_at(1e-5) - value_at(-1e-5)) / 2e-5;
      const auto gradient =
          torch::autograd::grad({(model->forward(input) * weights).sum()}, {parameter})[0];
      EXPECT_NEAR((gradient * direction).sum().item<double>(), numeric,
                  1e-6 * std::max(1.0, std::abs(numeric)))
          << item.key() << " of " << to_json(architecture);
    }
  }
}

// In training the rate drops blocks at random; in evaluation, and at rate 0, nothing is dropped.
TEST(Baselines, DropPath) {
  torch::NoGradGuard no_grad;
  for (Architecture architecture : small_architectures()) {
    const auto input = torch::randn({8, 2, 12, 12});
    const auto plain = filled_classifier(architecture);
    plain->train();
    architecture.spec.config.drop_path = 0.5;
    const auto dropping = filled_classifier(architecture);
    const auto expected = plain->forward(input);
    EXPECT_TRUE(dropping->forward(input).equal(expected)) << to_json(architecture);
    // The rate grows from 0 in a model's first block, except where all blocks have the same.
    const bool single = to_json(architecture).find("\"depths\":[1]") != std::string::npos;
    dropping->train();
    EXPECT_EQ(torch::allclose(dropping->forward(input), expected), single) << to_json(architecture);
  }
}

TEST(Baselines, SamplesAreIndependentAndAnySizeWorksWhereItCan) {
  torch::NoGradGuard no_grad;
  std::mt19937 random(7);
  for (const auto& architecture : small_architectures()) {
    const auto model = filled_classifier(architecture);
    const auto* mixer = std::get_if<TokenMixerConfig>(&architecture.family);
    const bool any_size = std::holds_alternative<SwinConfig>(architecture.family) ||
                          (mixer != nullptr && mixer->mixer == TokenMixer::kWindowMlp);
    for (int i = 0; i < 6; ++i) {
      const int h = any_size ? 1 + static_cast<int>(random() % 37) : 12;
      const int w = any_size ? 1 + static_cast<int>(random() % 37) : 12;
      const auto input = torch::randn({3, 2, h, w});
      const auto together = model->forward(input);
      ASSERT_EQ(together.sizes(), (torch::IntArrayRef{3, 3}));
      EXPECT_TRUE(together.isfinite().all().item<bool>());
      EXPECT_TRUE(torch::allclose(model->forward(input.slice(0, 1, 2)), together.slice(0, 1, 2),
                                  1e-4, 1e-5))
          << h << " x " << w << " " << to_json(architecture);
    }
    if (!any_size) {
      EXPECT_THROW(model->forward(torch::randn({1, 2, 12, 16})), Error);
      EXPECT_THROW(multiply_adds(architecture, 12, 16), Error);
    }
    EXPECT_THROW(model->forward(torch::randn({1, 3, 12, 12})), Error);
    EXPECT_THROW(model->forward(torch::randn({2, 12, 12})), Error);
  }
}

TEST(Baselines, WithoutClassesTheFeaturesComeOut) {
  torch::NoGradGuard no_grad;
  for (Architecture architecture : small_architectures()) {
    architecture.spec.config.num_classes = 0;
    const auto model = make_classifier(architecture);
    EXPECT_EQ(parameter_count(architecture), elements(*model));
    const auto features = model->forward(torch::randn({2, 2, 12, 12}));
    EXPECT_EQ(features.dim(), 2);
    EXPECT_GT(features.size(1), 3);
  }
}

// With the identity in the place of the learned map axial_mlp is an AS-MLP that shifts nothing;
// with a matrix that moves all tokens by one it is an AS-MLP of one channel that does the same.
TEST(TokenMixers, AxialMlpContainsTheAxialShift) {
  torch::NoGradGuard no_grad;
  struct Case {
    int embed_dim;
    ShiftSize shift;  // 2 positions move one channel by -1: out[p] = in[p + 1]
    Connection connection;
  };
  for (const Case& c :
       {Case{6, {1, 1}, Connection::kParallel}, Case{6, {1, 1}, Connection::kSerial},
        Case{1, {1, 2}, Connection::kParallel}, Case{1, {2, 1}, Connection::kSerial},
        Case{1, {2, 1}, Connection::kParallel}}) {
    Architecture shifted;
    Config& config = shifted.spec.config;
    config.embed_dim = c.embed_dim;
    config.depths = {2};
    config.num_classes = 3;
    config.connection = c.connection;
    shifted.spec.preprocessing.size = 20;
    Architecture learned = shifted;
    learned.family = TokenMixerConfig{TokenMixer::kAxialMlp};
    config.shift_size = c.shift;
    const auto first = filled_classifier(shifted), second = filled_classifier(learned);
    const auto from = first->named_parameters();
    for (auto& item : second->named_parameters()) {
      const size_t at = item.key().find("token_mixer.");
      if (at == std::string::npos) {
        item.value().copy_(from[item.key()]);
        continue;
      }
      const std::string rest = item.key().substr(at + 12);
      if (rest.starts_with("token_")) {
        const int positions = rest.starts_with("token_w") ? c.shift.w : c.shift.h;
        if (rest.ends_with("bias")) {
          item.value().zero_();
        } else {
          item.value().copy_(torch::eye(5).roll(positions == 2 ? 1 : 0, 1));
          if (positions == 2) item.value().select(0, 4).zero_();  // beyond the border is nothing
        }
      } else {
        item.value().copy_(from[item.key().substr(0, at) + "axial_shift." + rest]);
      }
    }
    const auto input = torch::randn({2, 3, 20, 20});
    EXPECT_TRUE(torch::allclose(first->forward(input), second->forward(input), 1e-4, 1e-5))
        << c.embed_dim << " " << c.shift.h << " " << c.shift.w;
  }
}

// A window that is the whole map is the global mixer.
TEST(TokenMixers, OneWindowIsGlobal) {
  torch::NoGradGuard no_grad;
  Architecture global;
  global.spec.config.embed_dim = 5;
  global.spec.config.depths = {1, 1};
  global.spec.config.num_classes = 3;
  global.spec.preprocessing.size = 24;
  global.family = TokenMixerConfig{TokenMixer::kGlobalMlp};
  Architecture window = global;
  window.family = TokenMixerConfig{TokenMixer::kWindowMlp, 7};
  const auto first = filled_classifier(global), second = filled_classifier(window);
  const auto input = torch::randn({2, 3, 24, 24});
  EXPECT_TRUE(torch::allclose(first->forward(input), second->forward(input), 1e-4, 1e-5));
}

}  // namespace
}  // namespace asmlp::nn::baselines_test
