#include "asmlp/quantize/quantized_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "asmlp/model/params.h"
#include "asmlp/quantize/calibration.h"
#include "asmlp/quantize/classifier_subject.h"
#include "asmlp/weights/fill.h"
#include "asmlp/weights/quantized.h"

namespace asmlp::quantized_weights_test {
namespace {

Checkpoint small_model(Connection connection = Connection::kParallel) {
  Checkpoint checkpoint;
  Config& config = checkpoint.spec.config;
  config.embed_dim = 12;
  config.depths = {1, 2};
  config.num_classes = 5;
  config.connection = connection;
  checkpoint.spec.preprocessing = default_preprocessing(config, 28);
  checkpoint.tensors = fill_parameters(config);
  return checkpoint;
}

NetworkInputs filled_inputs(const Checkpoint& checkpoint) {
  const int side = checkpoint.spec.preprocessing.size, channels = checkpoint.spec.config.in_chans;
  return {
      side, side, [=](int64_t index, std::span<float> out) {
        const Tensor image = fill_tensor("input." + std::to_string(index), {channels, side, side});
        std::ranges::copy(to_f32(image), out.begin());
      }};
}

TEST(LayerInputs, NameEveryLayerThatCanBeQuantizedOnce) {
  for (const Connection connection : {Connection::kParallel, Connection::kSerial}) {
    const Checkpoint checkpoint = small_model(connection);
    std::vector<std::string> named;
    for (const LayerInput& input : layer_inputs(checkpoint.spec.config)) {
      for (const std::string& layer : input.layers) {
        named.push_back(layer);
        const Shape& shape = checkpoint.tensors.at(layer + ".weight").shape;
        EXPECT_EQ(element_count(shape) / shape[0], input.depth) << layer;
      }
      if (!input.norm.empty()) {
        EXPECT_EQ(checkpoint.tensors.at(input.norm + ".weight").shape, Shape{input.depth});
      }
    }
    std::vector<std::string> all = quantizable_layers(checkpoint.spec.config);
    std::ranges::sort(named);
    std::ranges::sort(all);
    EXPECT_EQ(named, all);
    const auto model = PackedModel::create(checkpoint.spec, checkpoint.tensors);
    const auto readers = input_readers(checkpoint.spec.config, model->weights());
    const auto inputs = layer_inputs(checkpoint.spec.config);
    ASSERT_EQ(readers.size(), inputs.size());
    for (size_t i = 0; i < readers.size(); ++i) {
      ASSERT_EQ(readers[i].size(), inputs[i].layers.size());
      for (const PackedMatrix* weight : readers[i]) EXPECT_EQ(weight->depth(), inputs[i].depth);
    }
  }
}

TEST(QuantizeLayer, IsOffByHalfAStepAndUsesTheWholeRange) {
  Checkpoint checkpoint = small_model();
  const std::string layer = "layers.1.blocks.0.mlp.fc1";
  const std::vector<float> before = to_f32(checkpoint.tensors.at(layer + ".weight"));
  quantize_layer(checkpoint.tensors, layer, {0.25f, 7});
  EXPECT_EQ(quantization_problem(checkpoint.spec.config, checkpoint.tensors), "");
  const Tensor& weight = checkpoint.tensors.at(layer + ".weight");
  const std::vector<float> q = to_f32(weight);
  const std::vector<float> scales = to_f32(checkpoint.tensors.at(layer + kWeightScale));
  const size_t depth = q.size() / scales.size();
  for (size_t row = 0; row < scales.size(); ++row) {
    float most = 0;
    for (size_t i = row * depth; i < (row + 1) * depth; ++i) {
      EXPECT_LE(std::abs(q[i] * scales[row] - before[i]), scales[row] * 0.5001f);
      most = std::max(most, std::abs(q[i]));
    }
    EXPECT_EQ(most, 127);
  }
  EXPECT_EQ(to_f32(checkpoint.tensors.at(layer + kInputScale)), (std::vector<float>{0.25f}));
  EXPECT_EQ(to_f32(checkpoint.tensors.at(layer + kInputZeroPoint)), (std::vector<float>{7}));
}

TEST(QuantizeLayer, AChannelOfZerosStaysOne) {
  Checkpoint checkpoint = small_model();
  const std::string layer = "layers.0.blocks.0.mlp.fc2";
  Tensor& weight = checkpoint.tensors.at(layer + ".weight");
  const Shape shape = weight.shape;
  std::vector<float> values = to_f32(weight);
  std::fill_n(values.begin(), values.size() / static_cast<size_t>(shape[0]), 0.0f);
  weight = make_tensor(shape, values);
  quantize_layer(checkpoint.tensors, layer, {1, 0});
  EXPECT_EQ(quantization_problem(checkpoint.spec.config, checkpoint.tensors), "");
  const std::vector<float> back = to_f32(dequantized(checkpoint.tensors).at(layer + ".weight"));
  for (size_t i = 0; i < values.size() / static_cast<size_t>(shape[0]); ++i) EXPECT_EQ(back[i], 0);
}

TEST(Equalize, KeepsEveryBitOfTheFp32OutputsAndMakesColumnsAlike) {
  Checkpoint checkpoint = small_model();
  // One channel a hundred times as large after the norm, its weight as much smaller.
  const std::string norm = "layers.1.blocks.1.norm2", layer = "layers.1.blocks.1.mlp.fc1";
  std::vector<float> gamma = to_f32(checkpoint.tensors.at(norm + ".weight"));
  gamma[3] *= 100;
  checkpoint.tensors.at(norm + ".weight") = make_tensor({24}, gamma);

  const NetworkInputs inputs = filled_inputs(checkpoint);
  const std::vector<int64_t> images{0, 1, 2};
  const ClassifierSubject subject(checkpoint, inputs);
  std::vector<ChannelRanges> ranges = observe_ranges(subject, checkpoint.tensors, images, 1);
  Checkpoint equal = checkpoint;
  equalize(equal.tensors, subject.inputs(), ranges);
  EXPECT_EQ(subject.outputs(equal.tensors, images, 1, {})[0].values,
            subject.outputs(checkpoint.tensors, images, 1, {})[0].values);

  // The ranges are those that the new norms give.
  const std::vector<ChannelRanges> seen = observe_ranges(subject, equal.tensors, images, 1);
  for (size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].low, ranges[i].low);
    EXPECT_EQ(seen[i].high, ranges[i].high);
  }
  const std::vector<float> after = to_f32(equal.tensors.at(norm + ".weight"));
  EXPECT_LE(after[3] / after[2], gamma[3] / gamma[2] / 4);
  EXPECT_NE(to_f32(equal.tensors.at(layer + ".weight")),
            to_f32(checkpoint.tensors.at(layer + ".weight")));
}

}  // namespace
}  // namespace asmlp::quantized_weights_test
