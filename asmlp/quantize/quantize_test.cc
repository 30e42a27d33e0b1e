#include "asmlp/quantize/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "asmlp/model/params.h"
#include "asmlp/weights/fill.h"
#include "asmlp/weights/quantized.h"
#include "tests/support/support.h"

namespace asmlp::quantize_test {
namespace {

Checkpoint small_model(int classes, Connection connection = Connection::kParallel) {
  Checkpoint checkpoint;
  checkpoint.spec.name = "small";
  Config& config = checkpoint.spec.config;
  config.embed_dim = 16;
  config.depths = {1, 1};
  config.num_classes = classes;
  config.connection = connection;
  checkpoint.spec.preprocessing = default_preprocessing(config, 24);
  checkpoint.tensors = fill_parameters(config);
  return checkpoint;
}

NetworkInputs inputs_of(const Checkpoint& checkpoint) {
  const int side = checkpoint.spec.preprocessing.size, channels = checkpoint.spec.config.in_chans;
  return {
      side, side, [=](int64_t index, std::span<float> out) {
        const Tensor image = fill_tensor("input." + std::to_string(index), {channels, side, side});
        std::ranges::copy(to_f32(image), out.begin());
      }};
}

Quantized quantize(const Checkpoint& checkpoint, const NetworkInputs& inputs, int64_t images,
                   const std::string& source, const QuantizeOptions& options) {
  return asmlp::quantize(ClassifierSubject(checkpoint, inputs), images, source, options);
}

void expect_same(const TensorMap& a, const TensorMap& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    EXPECT_TRUE(std::ranges::equal(tensor.bytes, b.at(name).bytes)) << name;
    EXPECT_EQ(tensor.dtype, b.at(name).dtype) << name;
  }
}

TEST(Images, AFourthIsHeldOut) {
  EXPECT_EQ(held_out_images(9), (std::vector<int64_t>{3, 7}));
  EXPECT_EQ(calibration_images(9), (std::vector<int64_t>{0, 1, 2, 4, 5, 6, 8}));
  EXPECT_EQ(held_out_images(4), (std::vector<int64_t>{3}));
  EXPECT_EQ(held_out_images(2), calibration_images(2));
  EXPECT_EQ(held_out_images(2), (std::vector<int64_t>{0, 1}));
}

TEST(Quantize, EveryLayerNearTheFp32OutputsWithTheSameBytesForAnyNumberOfThreads) {
  for (const Connection connection : {Connection::kParallel, Connection::kSerial}) {
    for (const int classes : {0, 6}) {
      const Checkpoint checkpoint = small_model(classes, connection);
      const NetworkInputs inputs = inputs_of(checkpoint);
      QuantizeOptions options;
      options.max_error = 1;
      options.threads = 1;
      const Quantized result = quantize(checkpoint, inputs, 8, "m.safetensors", options);
      EXPECT_EQ(result.layers, 2 * 6 + 1);
      EXPECT_TRUE(result.fp32_layers.empty());
      for (const std::string& layer : quantizable_layers(checkpoint.spec.config)) {
        EXPECT_TRUE(is_quantized(result.tensors, layer)) << layer;
      }
      // An input's rounding is off by about 1 % (a range of 8 deviations in 255 steps), a weight's
      // by less; 13 layers add up as squares to 5 %, and logits of few classes cancel. A layer that
      // is wrong gives 1.
      EXPECT_GT(result.final.error, 0);
      EXPECT_LT(result.final.error, 0.1);
      EXPECT_EQ(result.before[0].values.size(),
                2u * static_cast<size_t>(classes > 0 ? classes : 32));
      const QuantizationInfo& info = result.info;
      EXPECT_EQ(info.source, "m.safetensors");
      EXPECT_EQ(info.images, 6);
      EXPECT_EQ(info.held_out, 2);
      EXPECT_EQ(info.error, result.final.error);
      EXPECT_EQ(result.after[0].values, ClassifierSubject(checkpoint, inputs)
                                            .outputs(result.tensors, held_out_images(8), 2, {})[0]
                                            .values);

      options.threads = 4;
      const Quantized again = quantize(checkpoint, inputs, 8, "m.safetensors", options);
      expect_same(again.tensors, result.tensors);
      EXPECT_EQ(again.info, result.info);
    }
  }
}

TEST(Quantize, LeavesOutTheLayersThatDoTheMost) {
  Checkpoint checkpoint = small_model(6);
  // Weights of fc2 that int8 cannot hold: in every output channel one is a thousand times as large,
  // and meets an input that is always the same.
  const std::string worst = "layers.1.blocks.0.mlp.fc2";
  Tensor& weight = checkpoint.tensors.at(worst + ".weight");
  const Shape shape = weight.shape;
  std::vector<float> values = to_f32(weight);
  const auto depth = static_cast<size_t>(shape[1]);
  for (size_t i = 0; i < values.size(); i += depth) values[i] = 300;
  weight = make_tensor(shape, values);
  std::vector<float> fc1 = to_f32(checkpoint.tensors.at("layers.1.blocks.0.mlp.fc1.weight"));
  std::fill_n(fc1.begin(), shape[0], 0.0f);  // hidden channel 0 is GELU(bias)
  checkpoint.tensors.at("layers.1.blocks.0.mlp.fc1.weight") =
      make_tensor({shape[1], shape[0], 1, 1}, fc1);

  QuantizeOptions options;
  options.max_error = 0.05;
  const Quantized result = quantize(checkpoint, inputs_of(checkpoint), 8, "", options);
  EXPECT_GT(result.all.error, 0.05);
  EXPECT_LE(result.final.error, 0.05);
  ASSERT_FALSE(result.fp32_layers.empty());
  const auto of_worst = std::ranges::find(result.fp32_layers, worst, &Fp32Layer::name);
  ASSERT_NE(of_worst, result.fp32_layers.end());
  EXPECT_GT(*of_worst->error, 0.05);
  EXPECT_FALSE(is_quantized(result.tensors, worst));
  EXPECT_EQ(result.layers + static_cast<int>(result.fp32_layers.size()), 13);
  EXPECT_EQ(result.info.fp32_layers.size(), result.fp32_layers.size());

  options.max_error = 0;  // nothing is good enough
  EXPECT_EQ(quantize(checkpoint, inputs_of(checkpoint), 4, "", options).layers, 0);
}

// Channels of unlike sizes behind the norms, as trained transformers have them: 2^-4 to 2^4, with
// weights that undo it.
TEST(Quantize, EqualizingHelpsWhereChannelsAreUnlike) {
  Checkpoint checkpoint = small_model(6);
  const auto scale = [&](const std::string& name, size_t period, bool up) {
    Tensor& tensor = checkpoint.tensors.at(name);
    std::vector<float> values = to_f32(tensor);
    for (size_t i = 0; i < values.size(); ++i) {
      const int exponent = static_cast<int>(i % period * 7 % 9) - 4;
      values[i] = std::ldexp(values[i], up ? exponent : -exponent);
    }
    tensor = make_tensor(tensor.shape, values);
  };
  for (const int stage : {0, 1}) {
    const std::string block = "layers." + std::to_string(stage) + ".blocks.0.";
    const size_t channels = size_t{16} << stage;
    for (const auto& [norm, layer] :
         {std::pair{"norm1", "axial_shift.conv1"},
          std::pair{"axial_shift.norm2", "axial_shift.conv3"}, std::pair{"norm2", "mlp.fc1"}}) {
      for (const char* part : {".weight", ".bias"}) scale(block + norm + part, channels, true);
      scale(block + layer + ".weight", channels, false);
    }
  }
  QuantizeOptions options;
  options.max_error = 10;
  const double with = quantize(checkpoint, inputs_of(checkpoint), 8, "", options).all.error;
  options.equalize = false;
  const double without = quantize(checkpoint, inputs_of(checkpoint), 8, "", options).all.error;
  EXPECT_LT(with, without / 2);
}

TEST(Quantize, LeavesOutWhatIsExcluded) {
  const Checkpoint checkpoint = small_model(6);
  QuantizeOptions options;
  options.max_error = 1;
  options.exclude = {"layers.0.*.fc?", "*.conv2_2"};
  const Quantized result = quantize(checkpoint, inputs_of(checkpoint), 4, "", options);
  std::vector<std::string> names;
  for (const Fp32Layer& layer : result.fp32_layers) {
    names.push_back(layer.name);
    EXPECT_EQ(layer.error, std::nullopt);
  }
  // conv2_1 reads what conv2_2 reads.
  EXPECT_EQ(names,
            (std::vector<std::string>{
                "layers.0.blocks.0.axial_shift.conv2_1", "layers.0.blocks.0.axial_shift.conv2_2",
                "layers.0.blocks.0.mlp.fc1", "layers.0.blocks.0.mlp.fc2",
                "layers.1.blocks.0.axial_shift.conv2_1", "layers.1.blocks.0.axial_shift.conv2_2"}));
  options.exclude = {"layers.0.blocks.0.mlp.fc3"};
  const std::string message = test::error_of(ErrorCode::kInvalidArgument, [&] {
    quantize(checkpoint, inputs_of(checkpoint), 4, "", options);
  });
  EXPECT_NE(message.find("fc3"), std::string::npos) << message;
  EXPECT_NE(message.find("layers.0.blocks.0.mlp.fc1"), std::string::npos) << message;
}

TEST(Quantize, RefusesWhatHasNoNumbersOrIsQuantized) {
  Checkpoint checkpoint = small_model(6);
  const NetworkInputs inputs = inputs_of(checkpoint);
  QuantizeOptions options;
  options.max_error = 1;
  Checkpoint done = checkpoint;
  done.tensors = quantize(checkpoint, inputs, 4, "", options).tensors;
  test::error_of(ErrorCode::kUnsupported, [&] { quantize(done, inputs, 4, "q", options); });
  test::error_of(ErrorCode::kInvalidArgument,
                 [&] { quantize(checkpoint, inputs, 0, "", options); });
  NetworkInputs broken = inputs;
  broken.read = [](int64_t, std::span<float> out) { std::ranges::fill(out, NAN); };
  const std::string message =
      test::error_of(ErrorCode::kBadFormat, [&] { quantize(checkpoint, broken, 4, "", options); });
  EXPECT_NE(message.find("conv1"), std::string::npos) << message;
}

TEST(Quantize, ForBenchmarksEveryLayerWithoutImages) {
  const Checkpoint checkpoint = small_model(6);
  const Checkpoint result = quantized_for_benchmark(checkpoint);
  for (const std::string& layer : quantizable_layers(checkpoint.spec.config)) {
    EXPECT_TRUE(is_quantized(result.tensors, layer)) << layer;
  }
  EXPECT_EQ(PackedModel::create(result.spec, result.tensors)->precision(), Precision::kInt8);
}

TEST(Difference, IsRelativeAndDoesNotSeeWhatASoftmaxDoesNotSee) {
  const auto between = [](std::vector<float> a, std::vector<float> b, bool classes) {
    const OutputPart reference{std::move(a), 3, classes}, outputs{std::move(b), 3, classes};
    return difference({&reference, 1}, {&outputs, 1});
  };
  const std::vector<float> logits{1, 2, 3, 3, 2, 1};
  std::vector<float> others = logits;
  for (float& value : others) value += 10;
  EXPECT_EQ(between(logits, others, true).error, 0);
  others = {1, 2, 3, 1, 2, 3};  // the second image reversed: off by 2, 0, 2 of 1, 0, 1 twice
  const OutputDifference found = between(logits, others, true);
  EXPECT_NEAR(found.error, std::sqrt(8.0 / 4), 1e-9);
  EXPECT_EQ(found.agreement, 0.5);
  others[0] = NAN;
  EXPECT_EQ(between(logits, others, true).error, INFINITY);
  others = {2, 3, 4, 4, 3, 2};
  EXPECT_NEAR(between(logits, others, false).error, std::sqrt(6.0 / 28), 1e-9);
  EXPECT_EQ(between(logits, others, false).agreement, 1);
  // Of several parts, the root of the mean square.
  const OutputPart one{logits, 3, false}, other{others, 3, false};
  const std::vector<OutputPart> reference{one, one}, half{one, other};
  EXPECT_NEAR(difference(reference, half).error, std::sqrt(3.0 / 28), 1e-9);
}

}  // namespace
}  // namespace asmlp::quantize_test
