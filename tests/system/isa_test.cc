// ASMLP_ISA: what it names is what computes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "asmlp/engine/engine.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/command.h"

namespace asmlp::test::isa_test {
namespace {

using testing::HasSubstr;

constexpr int kHeight = 33, kWidth = 40, kImages = 3;

// This process's environment with ASMLP_ISA set to `isa`.
RunSettings forced(const std::string& isa) {
  RunSettings settings;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, "ASMLP_ISA=", 10) != 0) settings.environment.push_back(*entry);
  }
  settings.environment.push_back("ASMLP_ISA=" + isa);
  return settings;
}

class ForcedIsa : public testing::Test {
 protected:
  ForcedIsa() : model_(write_model(folder_.path() / "m.safetensors", 3, 5, 24)) {
    write_safetensors(path("x.safetensors"), {{"input", make_tensor(shape_, input_)}});
  }
  std::string path(const std::string& name) const { return folder_.path() / name; }
  Outcome forward(const std::string& isa) const {
    return run({"forward", "--weights", model_, "--input", path("x.safetensors"), "--output",
                path("y.safetensors"), "--precision", "fp32", "--threads", "2"},
               forced(isa));
  }
  std::vector<float> written(const std::string& tensor) const {
    return to_f32(read_safetensors(path("y.safetensors")).tensors.at(tensor));
  }

  const Shape shape_ = {kImages, 3, kHeight, kWidth};
  const std::vector<float> input_ = to_f32(fill_tensor("input", shape_));
  TemporaryFolder folder_;
  const fs::path model_;
};

TEST_F(ForcedIsa, ComputesItsBitsAndIsReported) {
  const Checkpoint checkpoint = load_checkpoint(model_);
  std::map<Isa, std::vector<float>> logits;
  for (Isa isa : available_isas()) {
    const std::string name = to_string(isa);
    const Json cpu = run({"info", "--cpu", "--json"}, forced(name)).json()["cpu"];
    EXPECT_EQ(cpu["isa"], name);
    const Outcome outcome = forward(name);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(read_safetensors(path("y.safetensors")).metadata.at("isa"), name);

    Engine engine(PackedModel::create(checkpoint.spec, checkpoint.tensors, {.isa = isa}),
                  {.height = kHeight, .width = kWidth, .max_batch = kImages, .features = true});
    engine.run(input_, kImages);
    logits[isa].assign(engine.logits().begin(), engine.logits().end());
    EXPECT_EQ(written("logits"), logits[isa]) << name;
    for (int k = 0; k < engine.num_features(); ++k) {
      std::vector<float> feature(element_count(engine.feature_shape(k)));
      engine.copy_feature(k, feature);
      EXPECT_EQ(written("feature." + std::to_string(k)), feature) << name << " " << k;
    }
  }
  // Else the comparison above would not notice a variable without effect.
  if (logits.contains(Isa::kAvx2)) {
    EXPECT_NE(logits[Isa::kAvx2], logits[Isa::kReference]);
  }
}

TEST_F(ForcedIsa, ThatIsNotHereIsAnErrorThatNamesIt) {
  std::map<std::string, int> exit_codes = {{"mmx", 2}, {"AVX2", 2}};
  const std::vector<Isa> here = available_isas();
  for (Isa isa = Isa::kReference; isa <= Isa::kAvx512Amx; isa = Isa{static_cast<int>(isa) + 1}) {
    if (std::find(here.begin(), here.end(), isa) == here.end()) exit_codes[to_string(isa)] = 1;
  }
  for (const auto& [name, exit_code] : exit_codes) {
    const Outcome outcome = forward(name);
    EXPECT_EQ(outcome.code, exit_code) << name;
    EXPECT_THAT(outcome.err, HasSubstr("ASMLP_ISA=" + name + ":"));
    EXPECT_FALSE(fs::exists(path("y.safetensors")));
  }
}

}  // namespace
}  // namespace asmlp::test::isa_test
