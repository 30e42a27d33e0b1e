#include "asmlp/weights/quantized.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "asmlp/core/error.h"
#include "asmlp/model/params.h"

namespace asmlp {
namespace {

constexpr const char* kWeight = ".weight";

// The values of a companion, or what is wrong with it.
struct Companion {
  std::vector<float> values;
  std::string problem;
};

Companion read_companion(const TensorMap& tensors, const std::string& layer, const char* suffix,
                         DType dtype, int64_t count) {
  const std::string name = layer + suffix;
  const auto found = tensors.find(name);
  if (found == tensors.end()) {
    return {{},
            fmt::format("'{}' is missing: '{}{}' is I8, so a {} tensor of shape [{}] goes with it",
                        name, layer, kWeight, to_string(dtype), count)};
  }
  const Tensor& tensor = found->second;
  if (tensor.dtype != dtype || tensor.shape != Shape{count}) {
    return {{},
            fmt::format("'{}' is {} of shape {}, expected {} of shape [{}]", name,
                        to_string(tensor.dtype), to_string(tensor.shape), to_string(dtype), count)};
  }
  return {to_f32(tensor), ""};
}

std::string scale_problem(const TensorMap& tensors, const std::string& layer, const char* suffix,
                          int64_t count) {
  const Companion scales = read_companion(tensors, layer, suffix, DType::kF32, count);
  if (!scales.problem.empty()) return scales.problem;
  for (size_t i = 0; i < scales.values.size(); ++i) {
    const float scale = scales.values[i];
    if (scale >= kLeastScale && scale <= kGreatestScale) continue;  // not so for a NaN
    return fmt::format("'{}{}' has the value {} at {}; a scale is a number from 2^-60 to 2^60",
                       layer, suffix, scale, i);
  }
  return "";
}

std::string zero_point_problem(const TensorMap& tensors, const std::string& layer) {
  const Companion zero = read_companion(tensors, layer, kInputZeroPoint, DType::kI32, 1);
  if (!zero.problem.empty()) return zero.problem;
  if (zero.values[0] >= -128 && zero.values[0] <= 127) return "";
  return fmt::format("'{}{}' is {}, must be between -128 and 127", layer, kInputZeroPoint,
                     zero.values[0]);
}

std::string weight_problem(const Tensor& weight, const std::string& layer) {
  const auto least = std::byte{0x80};
  const bool found =
      std::find(weight.bytes.begin(), weight.bytes.end(), least) != weight.bytes.end();
  release_pages(weight);
  if (!found) return "";
  return fmt::format("'{}{}' has the value -128; quantized weights are in -127..127", layer,
                     kWeight);
}

std::string layer_problem(const TensorMap& tensors, const std::string& layer) {
  const Tensor& weight = tensors.at(layer + kWeight);
  std::string problem = scale_problem(tensors, layer, kWeightScale, weight.shape.at(0));
  if (problem.empty()) problem = scale_problem(tensors, layer, kInputScale, 1);
  if (problem.empty()) problem = zero_point_problem(tensors, layer);
  if (problem.empty()) problem = weight_problem(weight, layer);
  return problem;
}

// conv2_1 and conv2_2 of the parallel connection read one map: `first` ends with "conv2_1".
std::string pair_problem(const TensorMap& tensors, const std::string& first) {
  const std::string second = first.substr(0, first.size() - 1) + "2";
  const bool one = is_quantized(tensors, first), other = is_quantized(tensors, second);
  if (one != other) {
    return fmt::format(
        "'{}{}' is I8, '{}{}' is not; both read the same map, so both are quantized or neither is",
        one ? first : second, kWeight, one ? second : first, kWeight);
  }
  if (!one) return "";
  for (const char* suffix : {kInputScale, kInputZeroPoint}) {
    const float a = to_f32(tensors.at(first + suffix))[0];
    const float b = to_f32(tensors.at(second + suffix))[0];
    if (a == b) continue;
    return fmt::format("'{}{}' is {}, '{}{}' {}; both read the same map, so they must be equal",
                       first, suffix, a, second, suffix, b);
  }
  return "";
}

}  // namespace

bool is_quantized(const TensorMap& tensors, const std::string& layer) {
  const auto found = tensors.find(layer + kWeight);
  return found != tensors.end() && found->second.dtype == DType::kI8;
}

bool is_quantized(const TensorMap& tensors) {
  return std::any_of(tensors.begin(), tensors.end(), [](const auto& item) {
    return item.second.dtype == DType::kI8 && item.first.ends_with(kWeight);
  });
}

namespace {

std::vector<std::string> companions_of(const std::vector<std::string>& layers,
                                       const TensorMap& tensors) {
  std::vector<std::string> names;
  for (const std::string& layer : layers) {
    if (!is_quantized(tensors, layer)) continue;
    for (const char* suffix : {kWeightScale, kInputScale, kInputZeroPoint}) {
      names.push_back(layer + suffix);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string problem_of(const std::vector<Param>& table, const std::vector<std::string>& layers,
                       Connection connection, const TensorMap& tensors) {
  for (const Param& param : table) {
    const auto found = tensors.find(param.name);
    if (found == tensors.end() || found->second.dtype != DType::kI8) continue;
    const std::string layer = param.name.substr(0, param.name.rfind('.'));
    if (param.name.ends_with(kWeight) &&
        std::find(layers.begin(), layers.end(), layer) != layers.end()) {
      continue;
    }
    return fmt::format(
        "'{}' is I8; only the weights of the products between the patch embedding and the last "
        "layers can be",
        param.name);
  }
  for (const std::string& layer : layers) {
    if (!is_quantized(tensors, layer)) continue;
    if (std::string problem = layer_problem(tensors, layer); !problem.empty()) return problem;
  }
  if (connection != Connection::kParallel) return "";
  for (const std::string& layer : layers) {
    if (!layer.ends_with("conv2_1")) continue;
    if (std::string problem = pair_problem(tensors, layer); !problem.empty()) return problem;
  }
  return "";
}

}  // namespace

std::vector<std::string> quantization_parameters(const Config& config, const TensorMap& tensors) {
  return companions_of(quantizable_layers(config), tensors);
}
std::vector<std::string> quantization_parameters(const DetectorConfig& config,
                                                 const TensorMap& tensors) {
  return companions_of(quantizable_layers(config), tensors);
}
std::vector<std::string> quantization_parameters(const SegmentorConfig& config,
                                                 const TensorMap& tensors) {
  return companions_of(quantizable_layers(config), tensors);
}

std::string quantization_problem(const Config& config, const TensorMap& tensors) {
  return problem_of(parameter_table(config), quantizable_layers(config), config.connection,
                    tensors);
}
std::string quantization_problem(const DetectorConfig& config, const TensorMap& tensors) {
  return problem_of(without_batch_norms(parameter_table(config)), quantizable_layers(config),
                    config.backbone.connection, tensors);
}
std::string quantization_problem(const SegmentorConfig& config, const TensorMap& tensors) {
  return problem_of(without_batch_norms(parameter_table(config)), quantizable_layers(config),
                    config.backbone.connection, tensors);
}

Precision usable_precision(Precision wanted, const TensorMap& tensors, const std::string& what) {
  if (!is_quantized(tensors)) {
    require(wanted != Precision::kInt8, ErrorCode::kUnsupported,
            "{}: the weights are not quantized, so int8 has nothing to compute with; make an int8 "
            "file of them: `asmlp quantize MODEL --data IMAGES --output FILE`",
            what);
    return wanted;
  }
  require(wanted == Precision::kFp32 || wanted == Precision::kInt8, ErrorCode::kUnsupported,
          "{}: the weights are quantized to int8 and cannot be computed with in {}; leave the "
          "precision out, take the file that was quantized, or write an fp32 file: `asmlp convert "
          "IN OUT --dequantize`",
          what, to_string(wanted));
  return Precision::kInt8;
}

TensorMap dequantized(const TensorMap& tensors) {
  TensorMap result = tensors;
  for (const auto& [name, weight] : tensors) {
    if (weight.dtype != DType::kI8 || !name.ends_with(kWeight)) continue;
    const std::string layer = name.substr(0, name.size() - std::strlen(kWeight));
    const auto scale = tensors.find(layer + kWeightScale);
    if (scale == tensors.end()) continue;
    const std::vector<float> scales = to_f32(scale->second);
    std::vector<float> values = to_f32(weight);
    const size_t depth = scales.empty() ? 0 : values.size() / scales.size();
    for (size_t i = 0; i < depth * scales.size(); ++i) values[i] *= scales[i / depth];
    result[name] = make_tensor(weight.shape, std::move(values));
    for (const char* suffix : {kWeightScale, kInputScale, kInputZeroPoint}) {
      result.erase(layer + suffix);
    }
  }
  return result;
}

void require_unquantized(const TensorMap& tensors, const std::string& what) {
  require(!is_quantized(tensors), ErrorCode::kUnsupported,
          "{}{}the weights are quantized to int8, which only the native engine computes with; take "
          "the file that was quantized, or write an fp32 file: `asmlp convert IN OUT --dequantize`",
          what, what.empty() ? "" : ": ");
}

}  // namespace asmlp
