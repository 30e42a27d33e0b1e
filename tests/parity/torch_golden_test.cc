// The LibTorch path against numbers of the authors' module in float64 (tests/data/golden): the
// shift alone, features, logits, loss and every gradient of small models, logits of the published
// sizes. Every comparison prints a line "parity torch <file> <quantity> <worst error>".
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "asmlp/model/params.h"
#include "asmlp/model/zoo.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/ops/axial_shift.h"
#include "asmlp/torch/ops/runtime.h"
#include "asmlp/weights/fill.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/gradients.h"
#include "tests/support/support.h"

namespace asmlp::nn::torch_golden_test {
namespace {

torch::Tensor to_torch(const Tensor& tensor) {
  auto values = to_f32(tensor);
  return torch::from_blob(values.data(), tensor.shape, torch::kFloat32).clone();
}

// max |a - b| / max |b|.
double error_of(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.sizes() != b.sizes()) return INFINITY;
  const double magnitude = b.abs().max().item<double>();
  const double difference = (a.detach() - b).abs().max().item<double>();
  if (!std::isfinite(difference)) return INFINITY;
  return magnitude > 0 ? difference / magnitude : difference;
}

void report(const std::string& file, const std::string& quantity, double error) {
  std::printf("parity torch %s %s %.2g\n", file.c_str(), quantity.c_str(), error);
}

Config config_of(const std::map<std::string, std::string>& metadata) {
  Config config;
  config.embed_dim = std::stoi(metadata.at("embed_dim"));
  config.depths = nlohmann::json::parse(metadata.at("depths")).get<std::vector<int>>();
  config.num_classes = std::stoi(metadata.at("num_classes"));
  const int shift = std::stoi(metadata.at("shift_size"));
  config.shift_size = {shift, shift};
  if (metadata.contains("mlp_ratio")) config.mlp_ratio = std::stod(metadata.at("mlp_ratio"));
  return config;
}

// Of gradients with more than 4096 values the golden files, but the smallest, hold every 29th.
constexpr int64_t kGradientStride = 29;

class TorchGolden : public testing::Test {
 protected:
  static void SetUpTestSuite() { configure_runtime(); }
};

class TorchGoldenModel : public TorchGolden, public testing::WithParamInterface<const char*> {};

TEST_P(TorchGoldenModel, FeaturesLossAndGradients) {
  const std::string name = GetParam();
  const TensorFile golden = read_safetensors(test::data("golden/" + name + ".safetensors"));
  const auto reference = [&](const std::string& key) { return to_torch(golden.tensors.at(key)); };
  const Config config = config_of(golden.metadata);
  AsMlp model(config);
  load_parameters(*model, fill_parameters(config));

  const auto features = model->forward_features(reference("input"));
  double worst = 0;
  for (size_t k = 0; k < features.size(); ++k) {
    worst = std::max(worst, error_of(features[k], reference("feature." + std::to_string(k))));
  }
  report(name, "features", worst);
  EXPECT_LE(worst, 1e-5);

  const auto logits = model->forward_head(features.back());
  report(name, "logits", error_of(logits, reference("logits")));
  EXPECT_LE(error_of(logits, reference("logits")), 1e-5);

  const auto loss =
      torch::nn::functional::cross_entropy(logits, reference("target").to(torch::kLong));
  report(name, "loss", error_of(loss.view(1), reference("loss")));
  EXPECT_LE(error_of(loss.view(1), reference("loss")), 1e-5);

  loss.backward();
  worst = 0;
  for (const auto& item : model->named_parameters()) {
    const torch::Tensor expected = reference("grad." + item.key());
    torch::Tensor found = item.value().grad();
    if (expected.sizes() != found.sizes()) {
      ASSERT_GT(found.numel(), 4096) << item.key();
      found = found.flatten().slice(0, 0, c10::nullopt, kGradientStride);
    }
    const double error = error_of(found, expected);
    EXPECT_LE(error, 1e-4) << item.key();
    worst = std::max(worst, error);
  }
  report(name, "gradients", worst);
  // The file has nothing else: every parameter of the reference was compared.
  EXPECT_EQ(golden.tensors.size(),
            model->named_parameters().size() + features.size() + 4 /*input target logits loss*/);
}

INSTANTIATE_TEST_SUITE_P(Files, TorchGoldenModel,
                         testing::Values("model_c8_shift5", "model_c16_shift7_rect",
                                         "model_c20_shift3_mlp2", "model_c24_shift5"),
                         [](const auto& info) { return std::string(info.param); });

// Both forms of the operator, to the bit, by the checksums of the outputs in the metadata. Keys:
// <case>.out.size5.axish.circular.dilation2.
TEST_F(TorchGolden, AxialShiftIsExact) {
  const TensorFile golden = read_safetensors(test::data("golden/axial_shift.safetensors"));
  const std::map<std::string, Padding> paddings{{"zero", Padding::kZero},
                                                {"circular", Padding::kCircular},
                                                {"reflect", Padding::kReflect},
                                                {"replicate", Padding::kReplicate}};
  int compared = 0;
  for (const auto& [key, expected] : golden.metadata) {
    char name[16], axis, padding[16];
    AxialShift shift;
    if (std::sscanf(key.c_str(), "%15[^.].out.size%d.axis%c.%15[a-z].dilation%d", name,
                    &shift.positions, &axis, padding, &shift.dilation) != 5) {
      ASSERT_TRUE(key == "source" || key == "outputs") << key;
      continue;
    }
    shift.axis = axis == 'h' ? Axis::kHeight : Axis::kWidth;
    shift.padding = paddings.at(padding);
    const auto input =
        to_torch(golden.tensors.at(std::string(name) + ".input")).permute({0, 2, 3, 1});
    const auto checksum = [](const torch::Tensor& channels_last) {
      const auto nchw = channels_last.permute({0, 3, 1, 2}).contiguous();
      return test::crc32_of(std::span(nchw.data_ptr<float>(), size_t(nchw.numel())));
    };
    EXPECT_EQ(checksum(axial_shift(input, shift)), expected) << key;
    EXPECT_EQ(checksum(axial_shift_composed(input, shift)), expected) << key;
    ++compared;
  }
  EXPECT_GT(compared, 100);
  report("axial_shift", std::to_string(compared) + "_cases_to_the_bit",
         HasFailure() ? INFINITY : 0);
}

// The five published models at their size, parameters and input by the fill rule.
class TorchFullSize : public TorchGolden,
                      public testing::WithParamInterface<std::pair<const char*, const char*>> {};

TEST_P(TorchFullSize, Logits) {
  const auto [tag, zoo_name] = GetParam();
  const TensorFile golden = read_safetensors(test::data("golden/full_size_logits.safetensors"));
  const auto expected = to_torch(golden.tensors.at(std::string(tag) + ".logits"));
  const ModelSpec spec = zoo_model(zoo_name);
  const int64_t size = std::string(tag).ends_with("_384") ? 384 : 224;
  AsMlp model(spec.config);
  load_parameters(*model, fill_parameters(spec.config));
  model->eval();
  torch::InferenceMode inference;
  const auto input = fill_tensor("input." + std::string(tag), {expected.size(0), 3, size, size});
  const double error = error_of(model(to_torch(input)), expected);
  report("full_size_logits", tag, error);
  EXPECT_LE(error, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(
    Zoo, TorchFullSize,
    testing::Values(std::pair{"asmlp_mobile", "asmlp_mobile_patch4_shift5_224"},
                    std::pair{"asmlp_tiny", "asmlp_tiny_patch4_shift5_224"},
                    std::pair{"asmlp_small", "asmlp_small_patch4_shift5_224"},
                    std::pair{"asmlp_base", "asmlp_base_patch4_shift5_224"},
                    std::pair{"asmlp_base_384", "asmlp_base_patch4_shift5_384"}),
    [](const auto& info) { return std::string(info.param.first); });

}  // namespace
}  // namespace asmlp::nn::torch_golden_test
