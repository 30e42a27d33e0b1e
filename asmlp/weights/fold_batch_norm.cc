#include "asmlp/weights/fold_batch_norm.h"

#include <cmath>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

constexpr double kBatchNormEps = 1e-5;  // PyTorch's, and that of the official networks

std::vector<float> part_of(const TensorMap& tensors, const std::string& name, size_t size) {
  const auto found = tensors.find(name);
  require(found != tensors.end(), ErrorCode::kMismatch, "'{}' is missing", name);
  std::vector<float> values = to_f32(found->second);
  require(values.size() == size, ErrorCode::kMismatch, "'{}' has {} values, the convolution {}",
          name, values.size(), size);
  return values;
}

}  // namespace

TensorMap fold_batch_norms(const TensorMap& tensors) {
  TensorMap folded;
  for (const auto& [name, tensor] : tensors) {
    if (name.find(".bn.") == std::string::npos) folded.emplace(name, tensor);
  }
  constexpr std::string_view kGamma = ".bn.weight";
  for (const auto& [name, tensor] : tensors) {
    if (!name.ends_with(kGamma)) continue;
    const std::string layer = name.substr(0, name.size() - kGamma.size());
    const auto conv = tensors.find(layer + ".conv.weight");
    require(conv != tensors.end(), ErrorCode::kMismatch, "'{}.conv.weight' is missing", layer);
    std::vector<float> weight = to_f32(conv->second);
    const auto channels = static_cast<size_t>(element_count(tensor.shape));
    require(channels > 0 && !conv->second.shape.empty() &&
                conv->second.shape[0] == static_cast<int64_t>(channels),
            ErrorCode::kMismatch, "'{}' has {} values, the convolution another number of channels",
            name, channels);
    const std::vector<float> gamma = to_f32(tensor);
    const std::vector<float> beta = part_of(tensors, layer + ".bn.bias", channels);
    const std::vector<float> mean = part_of(tensors, layer + ".bn.running_mean", channels);
    const std::vector<float> var = part_of(tensors, layer + ".bn.running_var", channels);
    std::vector<float> bias(channels);
    const size_t depth = weight.size() / channels;
    for (size_t c = 0; c < channels; ++c) {
      const double scale = gamma[c] / std::sqrt(var[c] + kBatchNormEps);
      bias[c] = static_cast<float>(beta[c] - mean[c] * scale);
      for (size_t k = c * depth; k < (c + 1) * depth; ++k) {
        weight[k] = static_cast<float>(weight[k] * scale);
      }
    }
    folded[layer + ".conv.weight"] = make_tensor(conv->second.shape, std::move(weight));
    folded[layer + ".conv.bias"] = make_tensor({static_cast<int64_t>(channels)}, std::move(bias));
  }
  return folded;
}

}  // namespace asmlp
