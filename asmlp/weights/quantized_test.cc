// Files with int8 layers: what is accepted, what is wrong with others, and the way back to fp32.
#include "asmlp/weights/quantized.h"

#include <cmath>

#include "asmlp/model/params.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/fill.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/weight_files.h"

namespace asmlp::quantized_test {
namespace {

using test::error_of;
using test::expect_words;

constexpr const char* kConv1 = "layers.0.blocks.0.axial_shift.conv1";
constexpr const char* kConv21 = "layers.0.blocks.0.axial_shift.conv2_1";
constexpr const char* kConv22 = "layers.0.blocks.0.axial_shift.conv2_2";

template <typename T>
Tensor tensor_of(DType dtype, Shape shape, std::vector<T> values) {
  auto owner = std::make_shared<const std::vector<T>>(std::move(values));
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  tensor.bytes = std::as_bytes(std::span(*owner));
  tensor.owner = owner;
  return tensor;
}

// Makes a layer int8: q = index % 255 - 127, scale 1/64 of channel 0, 2/64 of channel 1, ...
void make_int8(TensorMap& tensors, const std::string& layer, float input_scale = 0.5f,
               int32_t zero_point = -3) {
  Tensor& weight = tensors.at(layer + ".weight");
  std::vector<int8_t> q(static_cast<size_t>(element_count(weight.shape)));
  for (size_t i = 0; i < q.size(); ++i) q[i] = static_cast<int8_t>(static_cast<int>(i % 255) - 127);
  std::vector<float> scales(static_cast<size_t>(weight.shape[0]));
  for (size_t i = 0; i < scales.size(); ++i) scales[i] = static_cast<float>(i + 1) / 64;
  weight = tensor_of(DType::kI8, weight.shape, std::move(q));
  const auto channels = static_cast<int64_t>(scales.size());
  tensors[layer + kWeightScale] = make_tensor({channels}, std::move(scales));
  tensors[layer + kInputScale] = make_tensor({1}, {input_scale});
  tensors[layer + kInputZeroPoint] = tensor_of<int32_t>(DType::kI32, {1}, {zero_point});
}

class QuantizedFile : public testing::Test {
 protected:
  QuantizedFile() {
    checkpoint_.spec.name = "small";
    Config& config = checkpoint_.spec.config;
    config.embed_dim = 8;
    config.depths = {1, 1};
    config.num_classes = 3;
    checkpoint_.spec.preprocessing = default_preprocessing(config, 32);
    checkpoint_.tensors = fill_parameters(config);
    make_int8(checkpoint_.tensors, kConv1);
    make_int8(checkpoint_.tensors, kConv21);
    make_int8(checkpoint_.tensors, kConv22);
    make_int8(checkpoint_.tensors, "layers.0.downsample.reduction", 2.0f, 127);
  }
  std::string problem() const {
    return error_of(ErrorCode::kMismatch, [&] {
      check_parameters(checkpoint_.spec.config, checkpoint_.tensors, "q.safetensors");
    });
  }
  TensorMap& tensors() { return checkpoint_.tensors; }

  Checkpoint checkpoint_;
  test::TemporaryFolder folder_;
};

TEST_F(QuantizedFile, TravelsWithWhatItSaysOfItself) {
  const auto path = folder_.path() / "q.safetensors";
  checkpoint_.spec.quantization = QuantizationInfo{.source = "m.safetensors",
                                                   .method = "least squared error",
                                                   .images = 12,
                                                   .held_out = 4,
                                                   .error = 0.0125,
                                                   .agreement = 0.75,
                                                   .equalized = true,
                                                   .fp32_layers = {"layers.0.blocks.0.mlp.fc2"}};
  save_checkpoint(path, checkpoint_);
  const Checkpoint loaded = load_checkpoint(path);
  EXPECT_EQ(loaded.spec, checkpoint_.spec);
  test::expect_same_tensors(loaded.tensors, checkpoint_.tensors);

  // The description of another file's quantization is not this file's.
  Checkpoint plain = loaded;
  plain.tensors = dequantized(plain.tensors);
  save_checkpoint(path, plain);
  EXPECT_EQ(load_checkpoint(path).spec.quantization, std::nullopt);
}

TEST_F(QuantizedFile, IsUnderstoodWithoutADescription) {
  const auto path = folder_.path() / "q.safetensors";
  write_safetensors(path, tensors());
  EXPECT_EQ(load_checkpoint(path).spec.config.depths, (std::vector<int>{1, 1}));
  test::expect_same_tensors(load_checkpoint(path).tensors, tensors());
}

TEST_F(QuantizedFile, NamesACompanionThatIsMissing) {
  for (const char* suffix : {kWeightScale, kInputScale, kInputZeroPoint}) {
    const TensorMap good = tensors();
    tensors().erase(std::string(kConv1) + suffix);
    expect_words(problem(), {"q.safetensors", std::string(kConv1) + suffix, "is missing", "I8"});
    tensors() = good;
  }
}

TEST_F(QuantizedFile, NamesACompanionOfAWrongTypeOrShape) {
  const std::string scale = std::string(kConv1) + kWeightScale,
                    zero = std::string(kConv1) + kInputZeroPoint;
  const std::vector<std::pair<std::string, Tensor>> wrong{
      {scale, make_tensor({7}, std::vector<float>(7, 1.0f))},
      {scale, make_tensor({8, 1}, std::vector<float>(8, 1.0f))},
      {scale, tensor_of(DType::kF64, {8}, std::vector<double>(8, 1.0))},
      {std::string(kConv1) + kInputScale, make_tensor({2}, {1.0f, 1.0f})},
      {std::string(kConv1) + kInputScale, make_tensor({}, {1.0f})},
      {zero, make_tensor({1}, {0.0f})},
      {zero, tensor_of<int8_t>(DType::kI8, {1}, {0})}};
  for (const auto& [name, tensor] : wrong) {
    const TensorMap good = tensors();
    tensors()[name] = tensor;
    expect_words(problem(),
                 {"'" + name + "'", to_string(tensor.dtype), to_string(tensor.shape), "expected"});
    tensors() = good;
  }
}

TEST_F(QuantizedFile, ScalesAreUsableNumbers) {
  for (const float scale : {0.0f, -1.0f, std::nanf(""), INFINITY, 1e-30f, 1e30f}) {
    const TensorMap good = tensors();
    std::vector<float> scales(8, 1.0f);
    scales[5] = scale;
    tensors()[std::string(kConv1) + kWeightScale] = make_tensor({8}, scales);
    expect_words(problem(), {std::string(kConv1) + kWeightScale, "at 5", "2^-60"});
    tensors() = good;
    tensors()[std::string(kConv1) + kInputScale] = make_tensor({1}, {scale});
    expect_words(problem(), {std::string(kConv1) + kInputScale, "at 0", "2^-60"});
    tensors() = good;
  }
  for (const int32_t zero : {-129, 128, INT32_MIN, INT32_MAX}) {
    tensors()[std::string(kConv1) + kInputZeroPoint] = tensor_of<int32_t>(DType::kI32, {1}, {zero});
    expect_words(problem(), {std::string(kConv1) + kInputZeroPoint, "-128 and 127"});
  }
}

TEST_F(QuantizedFile, WeightsAreSymmetricAndOnlyThoseOfProducts) {
  std::vector<int8_t> q(64, 1);
  q[63] = -128;
  const Shape shape = tensors().at(std::string(kConv1) + ".weight").shape;
  const TensorMap good = tensors();
  tensors()[std::string(kConv1) + ".weight"] = tensor_of(DType::kI8, shape, q);
  expect_words(problem(), {std::string(kConv1) + ".weight", "-128"});
  tensors() = good;
  for (const char* name : {"head.weight", "norm.weight", "layers.0.blocks.0.norm1.weight",
                           "layers.0.blocks.0.axial_shift.conv1.bias", "patch_embed.proj.weight"}) {
    const Shape own = tensors().at(name).shape;
    tensors()[name] =
        tensor_of(DType::kI8, own, std::vector<int8_t>(static_cast<size_t>(element_count(own)), 1));
    expect_words(problem(), {name, "is I8"});
    tensors() = good;
  }
}

TEST_F(QuantizedFile, LayersThatReadOneMapAreQuantizedAlike) {
  const TensorMap good = tensors();
  make_int8(tensors(), kConv22, 0.25f);
  expect_words(problem(), {kConv21, kConv22, kInputScale, "same map"});
  make_int8(tensors(), kConv22, 0.5f, 4);
  expect_words(problem(), {kConv21, kConv22, kInputZeroPoint, "same map"});
  tensors() = dequantized(good);
  make_int8(tensors(), kConv22);
  expect_words(problem(), {kConv21, kConv22, "both are quantized or neither"});
  // In series, the second reads what the first has written.
  checkpoint_.spec.config.connection = Connection::kSerial;
  EXPECT_NO_THROW(check_parameters(checkpoint_.spec.config, tensors(), "f"));
}

TEST_F(QuantizedFile, ACompanionOfAnFp32WeightIsUnexpected) {
  tensors()["layers.0.blocks.0.mlp.fc1.weight_scale"] = make_tensor({1}, {1.0f});
  expect_words(problem(), {"layers.0.blocks.0.mlp.fc1.weight_scale", "1 unexpected"});
}

TEST_F(QuantizedFile, BecomesFp32ByItsScales) {
  const TensorMap plain = dequantized(tensors());
  EXPECT_NO_THROW(check_parameters(checkpoint_.spec.config, plain, "f"));
  EXPECT_FALSE(is_quantized(plain));
  EXPECT_EQ(plain.size(), parameter_table(checkpoint_.spec.config).size());
  const std::vector<float> weight = to_f32(plain.at(std::string(kConv1) + ".weight"));
  for (size_t i = 0; i < weight.size(); ++i) {
    const int q = static_cast<int>(i % 255) - 127;
    EXPECT_EQ(weight[i], static_cast<float>(q) * static_cast<float>(i / 8 + 1) / 64) << i;
  }
}

TEST_F(QuantizedFile, IsComputedInInt8AndInNothingElse) {
  const TensorMap plain = dequantized(tensors());
  for (const Precision wanted : {Precision::kFp32, Precision::kInt8}) {
    EXPECT_EQ(usable_precision(wanted, tensors(), "m"), Precision::kInt8);
  }
  for (const Precision wanted : {Precision::kBf16, Precision::kBf16x3}) {
    EXPECT_EQ(usable_precision(wanted, plain, "m"), wanted);
    expect_words(
        error_of(ErrorCode::kUnsupported, [&] { usable_precision(wanted, tensors(), "m"); }),
        {to_string(wanted), "int8", "--dequantize"});
  }
  EXPECT_EQ(usable_precision(Precision::kFp32, plain, "m"), Precision::kFp32);
  expect_words(
      error_of(ErrorCode::kUnsupported, [&] { usable_precision(Precision::kInt8, plain, "m"); }),
      {"not quantized", "asmlp quantize"});
  EXPECT_NO_THROW(require_unquantized(plain, "m"));
  expect_words(error_of(ErrorCode::kUnsupported, [&] { require_unquantized(tensors(), "m"); }),
               {"m: ", "--dequantize"});
}

}  // namespace
}  // namespace asmlp::quantized_test
