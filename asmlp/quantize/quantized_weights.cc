#include "asmlp/quantize/quantized_weights.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "asmlp/quantize/layer_inputs.h"
#include "asmlp/weights/quantized.h"

namespace asmlp {
namespace {

template <typename T>
Tensor tensor_with(DType dtype, Shape shape, std::vector<T> values) {
  auto owner = std::make_shared<const std::vector<T>>(std::move(values));
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  tensor.bytes = std::as_bytes(std::span(*owner));
  tensor.owner = std::move(owner);
  return tensor;
}

float greatest_magnitude(std::span<const float> values) {
  float most = 0;
  for (const float value : values) most = std::max(most, std::abs(value));
  return most;
}

// The power of two nearest to sqrt(input / weight) on a logarithmic scale; 1 where either is
// nothing. Not beyond 2^10 in either direction.
float column_factor(float input, float weight) {
  if (!(input > 0) || !(weight > 0)) return 1;
  const double exponent = (std::log2(double{input}) - std::log2(double{weight})) / 2;
  return static_cast<float>(std::exp2(std::clamp(std::nearbyint(exponent), -10.0, 10.0)));
}

void equalize_input(TensorMap& tensors, const LayerInput& input, ChannelRanges& ranges) {
  const size_t depth = static_cast<size_t>(input.depth);
  std::vector<float> most(depth);  // of the columns of all weights that read it
  std::vector<std::vector<float>> weights;
  for (const std::string& layer : input.layers) {
    weights.push_back(to_f32(tensors.at(layer + ".weight")));
    const std::vector<float>& weight = weights.back();
    for (size_t i = 0; i < weight.size(); ++i) {
      most[i % depth] = std::max(most[i % depth], std::abs(weight[i]));
    }
  }
  std::vector<float> gamma = to_f32(tensors.at(input.norm + ".weight"));
  std::vector<float> beta = to_f32(tensors.at(input.norm + ".bias"));
  std::vector<float> factors(depth);
  for (size_t c = 0; c < depth; ++c) {
    const float range = std::max(std::abs(ranges.low[c]), std::abs(ranges.high[c]));
    const float factor = factors[c] = column_factor(range, most[c]);
    for (float* value : {&gamma[c], &beta[c], &ranges.low[c], &ranges.high[c]}) *value /= factor;
  }
  for (size_t l = 0; l < weights.size(); ++l) {
    for (size_t i = 0; i < weights[l].size(); ++i) weights[l][i] *= factors[i % depth];
    Tensor& tensor = tensors.at(input.layers[l] + ".weight");
    tensor = make_tensor(tensor.shape, std::move(weights[l]));
  }
  for (const auto& [part, values] : {std::pair{".weight", &gamma}, std::pair{".bias", &beta}}) {
    Tensor& tensor = tensors.at(input.norm + part);
    tensor = make_tensor(tensor.shape, std::move(*values));
  }
}

}  // namespace

void quantize_layer(TensorMap& tensors, const std::string& layer, const InputScale& input) {
  Tensor& weight = tensors.at(layer + ".weight");
  const Shape shape = weight.shape;
  const std::vector<float> values = to_f32(weight);
  const size_t rows = static_cast<size_t>(shape.at(0)), depth = values.size() / rows;
  std::vector<int8_t> numbers(values.size());
  std::vector<float> scales(rows, 1.0f);
  for (size_t row = 0; row < rows; ++row) {
    const auto of_row = std::span(values).subspan(row * depth, depth);
    const float most = greatest_magnitude(of_row);
    if (most > 0) scales[row] = std::clamp(most / 127, kLeastScale, kGreatestScale);
    for (size_t i = 0; i < depth; ++i) {
      const float place = std::nearbyint(of_row[i] / scales[row]);
      numbers[row * depth + i] = static_cast<int8_t>(std::clamp(place, -127.0f, 127.0f));
    }
  }
  weight = tensor_with(DType::kI8, shape, std::move(numbers));
  tensors[layer + kWeightScale] = make_tensor({shape[0]}, std::move(scales));
  tensors[layer + kInputScale] = make_tensor({1}, {input.scale});
  tensors[layer + kInputZeroPoint] =
      tensor_with(DType::kI32, {1}, std::vector<int32_t>{input.zero_point});
}

void equalize(TensorMap& tensors, std::span<const LayerInput> inputs,
              std::vector<ChannelRanges>& ranges) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].norm.empty()) equalize_input(tensors, inputs[i], ranges[i]);
  }
}

}  // namespace asmlp
