// The native engine against the authors' module.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "asmlp/engine/engine.h"
#include "asmlp/model/zoo.h"
#include "asmlp/weights/fill.h"
#include "tests/support/golden.h"

namespace asmlp::test::engine_golden_test {
namespace {

ModelSpec spec_of(const Config& config) {
  ModelSpec spec;
  spec.name = "golden";
  spec.config = config;
  spec.preprocessing = default_preprocessing(config, 32);
  return spec;
}

void report(Isa isa, const std::string& what, double error) {
  std::printf("parity native-%s %s %.2e\n", to_string(isa), what.c_str(), error);
}

// Relative error of a published model's logits.
double full_size_error(Isa isa, Precision precision, const FullSize& full) {
  const TensorFile file = read_safetensors(data("golden/full_size_logits.safetensors"));
  const ModelSpec spec = zoo_model(full.model);
  const int side = spec.preprocessing.size;
  const auto model = PackedModel::create(spec, fill_parameters(spec.config), {isa, precision});
  Engine engine(model, {.max_batch = full.batch});
  const Tensor input = fill_tensor(std::string("input.") + full.tag, {full.batch, 3, side, side});
  engine.run(to_f32(input), full.batch);
  const double error =
      relative_error(engine.logits(), to_f32(file.tensors.at(std::string(full.tag) + ".logits")));
  report(isa, fmt::format("{} {} logits", full.tag, to_string(precision)), error);
  return error;
}

class EngineGolden : public testing::TestWithParam<Isa> {
 protected:
  void report(const std::string& what, double error) const {
    engine_golden_test::report(GetParam(), what, error);
  }

  // The reference kernels need 20 s for a base model: one size proves them.
  static bool worth_the_time(const FullSize& full) {
    return GetParam() != Isa::kReference || full.tag == std::string("asmlp_mobile");
  }

  double error_of(const FullSize& full, Precision precision) const {
    return full_size_error(GetParam(), precision, full);
  }
};

TEST_P(EngineGolden, FeaturesAndLogitsOfTheSmallModels) {
  for (const GoldenModel& golden : golden_models()) {
    const TensorFile file = read_safetensors(data(golden.file()));
    const Tensor& input = file.tensors.at("input");
    const auto model = PackedModel::create(spec_of(golden.config), fill_parameters(golden.config),
                                           {.isa = GetParam()});
    const int batch = static_cast<int>(input.shape[0]);
    Engine engine(model, {.height = static_cast<int>(input.shape[2]),
                          .width = static_cast<int>(input.shape[3]),
                          .max_batch = batch,
                          .features = true});
    engine.run(to_f32(input), batch);
    const double logits = relative_error(engine.logits(), to_f32(file.tensors.at("logits")));
    report(golden.name + " logits", logits);
    EXPECT_LE(logits, 1e-5) << golden.name;
    ASSERT_EQ(engine.num_features(), golden.config.num_stages() + 1);
    for (int k = 0; k < engine.num_features(); ++k) {
      const Tensor& expected = file.tensors.at("feature." + std::to_string(k));
      ASSERT_EQ(engine.feature_shape(k), expected.shape);
      std::vector<float> feature(element_count(expected.shape));
      engine.copy_feature(k, feature);
      const double error = relative_error(feature, to_f32(expected));
      report(golden.name + " feature." + std::to_string(k), error);
      EXPECT_LE(error, 1e-5) << golden.name << " feature " << k;
    }
  }
}

TEST_P(EngineGolden, LogitsOfThePublishedSizes) {
  for (const FullSize& full : kFullSizes) {
    if (!worth_the_time(full)) continue;
    EXPECT_LE(error_of(full, Precision::kFp32), 1e-4) << full.tag;
  }
}

// bf16 keeps 8 bits of every factor; what is left of that in the logits.
TEST_P(EngineGolden, Bf16LogitsOfThePublishedSizes) {
  for (const FullSize& full : kFullSizes) {
    if (!worth_the_time(full)) continue;
    const double error = error_of(full, Precision::kBf16);
    EXPECT_LE(error, 3e-2) << full.tag;
    EXPECT_GE(error, 1e-5) << full.tag << ": this was not bf16";
  }
}

// Two bf16 parts keep 16 bits of every factor. Of the best ISA here (ASMLP_ISA chooses another
// one); where it has no tiles, the numbers are fp32's.
class Bf16x3Golden : public testing::TestWithParam<FullSize> {};

TEST_P(Bf16x3Golden, LogitsOfThePublishedSizes) {
  const Isa isa = default_isa();
  if (isa == Isa::kReference) GTEST_SKIP() << "20 s for a base model";
  const double error = full_size_error(isa, Precision::kBf16x3, GetParam());
  EXPECT_LE(error, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Sizes, Bf16x3Golden, testing::ValuesIn(kFullSizes),
                         [](const auto& info) { return std::string(info.param.tag); });

INSTANTIATE_TEST_SUITE_P(Isas, EngineGolden, testing::ValuesIn(available_isas()),
                         [](const auto& info) { return to_string(info.param); });

}  // namespace
}  // namespace asmlp::test::engine_golden_test
