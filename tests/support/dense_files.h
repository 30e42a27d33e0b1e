// Files of small detectors and segmentors, without LibTorch.
#pragma once

#include <cmath>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "asmlp/engine/heads/segmentor.h"
#include "asmlp/model/description/description.h"
#include "asmlp/model/params.h"
#include "asmlp/weights/fill.h"
#include "asmlp/weights/safetensors.h"
#include "tests/support/small_specs.h"

namespace asmlp::test {

// Writes tensors with the description of their network.
template <typename Spec>
void save_dense(const std::filesystem::path& path, const Spec& spec, const TensorMap& tensors) {
  write_safetensors(path, tensors, {{kDescriptionKey, to_json(spec)}, {"format", "pt"}});
}

// A normal deviate of the same bits with every standard library.
class Normal {
 public:
  explicit Normal(uint32_t seed) : generator_(seed) {}
  double operator()() {  // Box and Muller
    const double u = (generator_() + 1.0) / 4294967297.0, v = generator_() / 4294967296.0;
    return std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
  }
  double uniform(double low, double high) {
    return low + (high - low) * generator_() / 4294967296.0;
  }

 private:
  std::mt19937 generator_;
};

// Weights so large that scores, boxes and masks differ from region to region.
inline TensorMap lively_detector(const DetectorConfig& config, uint32_t seed = 1) {
  Normal normal(seed);
  TensorMap tensors;
  for (const Param& param : parameter_table(config)) {
    const std::string& name = param.name;
    Tensor tensor = fill_tensor(name, param.shape);
    std::vector<float> values = to_f32(tensor);
    double spread = 0, low = 0, high = 0;
    if (name.ends_with("running_var")) low = 0.5, high = 2;
    if (name.ends_with("running_mean")) spread = 0.2;
    if (param.shape.size() > 1 && !name.starts_with("backbone")) {
      spread = 1.4;
      // Probabilities shall not be all 0 and 1, and boxes shall move, but not all of them to the
      // edge.
      if (name.ends_with("cls.weight")) spread = 0.5;
      if (name.ends_with("reg.weight")) spread = name.starts_with("rpn") ? 0.1 : 0.5;
      spread /= std::sqrt(double(values.size()) / double(param.shape[0]));
    }
    for (float& value : values) {
      if (spread > 0) value = static_cast<float>(spread * normal());
      if (high > low) value = static_cast<float>(normal.uniform(low, high));
    }
    tensors[name] = make_tensor(param.shape, std::move(values));
  }
  return tensors;
}

// Batch norms that matter, and a last convolution so that every class has logits of mean 0 and
// deviation 1 on a picture of noise: all of them are seen.
inline TensorMap lively_segmentor(const SegmentorSpec& spec, uint32_t seed = 3) {
  Normal normal(seed);
  TensorMap tensors;
  for (const Param& param : parameter_table(spec.config)) {
    const std::string& name = param.name;
    std::vector<float> values(static_cast<size_t>(element_count(param.shape)));
    const bool variance = name.ends_with("running_var");
    const double mean = param.shape.size() == 1 && name.ends_with(".weight") ? 1 : 0;
    for (float& value : values) {
      value = static_cast<float>(variance ? normal.uniform(0.5, 1.5) : mean + 0.3 * normal());
    }
    tensors[name] = make_tensor(param.shape, std::move(values));
  }
  constexpr int kHeight = 64, kWidth = 96;
  std::vector<float> input(3 * kHeight * kWidth);
  for (float& value : input) value = static_cast<float>(normal());
  SegmentorEngine engine(PackedSegmentor::create(spec, tensors, {.isa = Isa::kReference}));
  const segment::LogitView view = engine.logits(input, kHeight, kWidth);
  const auto pixels = int64_t{view.height} * view.width;
  std::vector<float> weight = to_f32(tensors["decode_head.conv_seg.weight"]);
  std::vector<float> bias = to_f32(tensors["decode_head.conv_seg.bias"]);
  const size_t inputs = weight.size() / bias.size();
  for (size_t k = 0; k < bias.size(); ++k) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < pixels; ++i) {
      const double logit = view.values[i * view.stride + static_cast<int64_t>(k)];
      sum += logit, squares += logit * logit;
    }
    const double mean = sum / double(pixels);
    const double deviation = std::sqrt(squares / double(pixels) - mean * mean);
    for (size_t i = 0; i < inputs; ++i) weight[k * inputs + i] /= static_cast<float>(deviation);
    bias[k] = static_cast<float>((bias[k] - mean) / deviation);
  }
  const auto put = [&](const char* name, std::vector<float> values) {
    tensors[name] = make_tensor(tensors[name].shape, std::move(values));
  };
  put("decode_head.conv_seg.weight", std::move(weight));
  put("decode_head.conv_seg.bias", std::move(bias));
  return tensors;
}

}  // namespace asmlp::test
