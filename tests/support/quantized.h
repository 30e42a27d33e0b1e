// Models with int8 layers without calibration: ranges that the norms of the fill rule give.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/model/config.h"

namespace asmlp::test {

inline Tensor make_bytes(DType dtype, Shape shape, const void* values, size_t bytes) {
  const auto* begin = static_cast<const std::byte*>(values);
  auto memory = std::make_shared<std::vector<std::byte>>(begin, begin + bytes);
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  tensor.bytes = *memory;
  tensor.owner = memory;
  return tensor;
}

// Layers of blocks and patch mergings that a file may hold in int8.
inline bool may_be_int8(const std::string& name, const Tensor& tensor) {
  return name.starts_with("layers.") && name.ends_with(".weight") && tensor.shape.size() > 1;
}

// `tensors` with the layers in int8 that `chosen` says of their names (without ".weight").
inline TensorMap quantized(
    const TensorMap& tensors, const std::function<bool(const std::string&)>& chosen =
                                  [](const std::string&) { return true; }) {
  TensorMap result = tensors;
  for (const auto& [name, tensor] : tensors) {
    if (!may_be_int8(name, tensor)) continue;
    const std::string layer = name.substr(0, name.rfind('.'));
    const bool shifted = layer.ends_with("conv2_1") || layer.ends_with("conv2_2");
    if (!chosen(layer)) continue;
    const std::vector<float> values = to_f32(tensor);
    const int64_t cols = tensor.shape[0], depth = static_cast<int64_t>(values.size()) / cols;
    std::vector<int8_t> bytes(values.size());
    std::vector<float> scales(cols);
    for (int64_t j = 0; j < cols; ++j) {
      float greatest = 1e-6f;
      for (int64_t k = 0; k < depth; ++k) {
        greatest = std::max(greatest, std::abs(values[j * depth + k]));
      }
      scales[j] = greatest / 127;
      for (int64_t k = 0; k < depth; ++k) {
        bytes[j * depth + k] =
            static_cast<int8_t>(std::nearbyint(values[j * depth + k] / scales[j]));
      }
    }
    // The outputs of a GELU, or of a norm.
    const bool gelu = shifted || layer.ends_with("fc2");
    const float low = gelu ? -0.17f : -4.0f, high = gelu ? 3.0f : 4.0f;
    const float input_scale = (high - low) / 255;
    const auto zero_point = static_cast<int32_t>(std::nearbyint(-128 - low / input_scale));
    result[name] = make_bytes(DType::kI8, tensor.shape, bytes.data(), bytes.size());
    result[layer + ".weight_scale"] = make_tensor({cols}, scales);
    result[layer + ".input_scale"] = make_tensor({1}, {input_scale});
    result[layer + ".input_zero_point"] =
        make_bytes(DType::kI32, {1}, &zero_point, sizeof zero_point);
  }
  return result;
}

}  // namespace asmlp::test
