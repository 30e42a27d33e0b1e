#include "asmlp/weights/weight_file.h"

#include <gtest/gtest.h>

#include "asmlp/core/error.h"
#include "asmlp/weights/model_file.h"
#include "asmlp/weights/pytorch/pth.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/support.h"

namespace asmlp::weight_file_test {
namespace {

TEST(PthFiles, HoldTheTensorZoo) {
  const PthFile file = read_pth(test::data("golden/checkpoints/tensor_zoo.pth"));
  const TensorFile expected =
      read_safetensors(test::data("golden/checkpoints/tensor_zoo_expected.safetensors"));
  EXPECT_EQ(file.tensors.size(), expected.tensors.size());
  for (const auto& [name, tensor] : expected.tensors) {
    const Tensor& actual = file.tensors.at(name);
    EXPECT_EQ(to_f32(actual), to_f32(tensor)) << name;
    // The expected scalar was written with one axis.
    EXPECT_EQ(actual.shape, name == "scalar" ? Shape{} : tensor.shape) << name;
  }
  EXPECT_EQ(file.tensors.at("i64").dtype, DType::kI64);
  EXPECT_EQ(file.tensors.at("bool").dtype, DType::kBool);
  EXPECT_EQ(file.tensors.at("bf16").dtype, DType::kBF16);
  EXPECT_EQ(file.tensors.at("f64").dtype, DType::kF64);
  EXPECT_TRUE(std::ranges::equal(file.tensors.at("i64").bytes, expected.tensors.at("i64").bytes));
  EXPECT_EQ(file.config_json, "{}");
}

class WeightFiles : public testing::Test {
 protected:
  std::filesystem::path write(const std::map<std::string, std::string>& metadata,
                              const TensorMap& tensors) {
    const auto path = folder_.path() / "x.safetensors";
    write_safetensors(path, tensors, metadata);
    return path;
  }
  test::TemporaryFolder folder_;
};

// One key today, one per kind of network before 0.2: all say the same.
TEST_F(WeightFiles, DescribeThemselvesUnderEveryKeyThereWas) {
  const TensorMap tensors{{"x", make_tensor({1}, {1})}};
  for (const std::string& name : model_names()) {
    const Description model = named_description(name);
    const std::string text = to_json(model);
    EXPECT_EQ(read_weights(write({{"asmlp", text}}, tensors)).description(), model) << name;
    const char* former = model.task() == Task::kDetect    ? "asmlp_detector"
                         : model.task() == Task::kSegment ? "asmlp_segmentor"
                                                          : "asmlp_architecture";
    // Those of before said no task.
    std::string old = text;
    old.erase(1, old.find(','));
    const WeightFile file = read_weights(write({{former, old}}, tensors));
    EXPECT_EQ(file.description(), model) << name;
    EXPECT_EQ(file.task(), model.task()) << name;
  }
  EXPECT_EQ(read_weights(write({}, tensors)).description(), std::nullopt);
}

TEST_F(WeightFiles, OfATrainingStateAreTheModelInside) {
  const Description model = named_description("upernet_asmlp_tiny");
  const TensorMap state{{"model.a", make_tensor({1}, {1})},
                        {"ema.a", make_tensor({1}, {2})},
                        {"optimizer.m.a", make_tensor({1}, {3})}};
  const std::map<std::string, std::string> metadata{{"asmlp_train", "{}"},
                                                    {"asmlp_train_model", to_json(model)}};
  const WeightFile file = read_weights(write(metadata, state));
  EXPECT_TRUE(file.is_training_state());
  EXPECT_EQ(file.description(), model);
  ASSERT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(to_f32(file.tensors.at("a")), std::vector<float>{2});
  EXPECT_EQ(
      to_f32(read_weights(write(metadata, {{"model.a", make_tensor({1}, {1})}})).tensors.at("a")),
      std::vector<float>{1});
}

TEST_F(WeightFiles, OfAnotherTaskOrArchitectureAreRefused) {
  const Description detector = named_description("mask_rcnn_asmlp_tiny");
  const auto path = write({{"asmlp", to_json(detector)}}, {{"x", make_tensor({1}, {1})}});
  const auto message = [&](const ModelFileOptions& options) {
    return std::string(test::error_of([&] { load_model_file(path, options); }).what());
  };
  const auto with = [](const char* name) {
    ModelFileOptions options;
    options.description = named_description(name);
    return options;
  };
  EXPECT_NE(message({}).find("is missing"), std::string::npos) << message({});
  EXPECT_NE(message(with("upernet_asmlp_tiny")).find("segmentor"), std::string::npos);
  EXPECT_NE(message(with("cascade_asmlp_tiny")).find("give none"), std::string::npos);
}

}  // namespace
}  // namespace asmlp::weight_file_test
