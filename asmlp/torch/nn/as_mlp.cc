#include "asmlp/torch/nn/as_mlp.h"

#include "asmlp/core/error.h"
#include "asmlp/torch/ops/functional.h"
#include "asmlp/weights/quantized.h"

namespace asmlp::nn {

AsMlpImpl::AsMlpImpl(const Config& config) : config_(config) {
  validate(config);
  patch_embed_ = register_module("patch_embed", PatchEmbed(config));
  layers_ = register_module("layers", torch::nn::ModuleList());
  int first_block = 0;
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    layers_->push_back(Stage(config, stage, first_block));
    first_block += config.depths[stage];
  }
  norm_ = register_module("norm", make_norm(config.num_features()));
  if (config.num_classes > 0) {
    head_ = register_module("head", torch::nn::Linear(config.num_features(), config.num_classes));
    // timm's trunc_normal_ cuts at +-2 absolute, a hundred standard deviations.
    torch::NoGradGuard no_grad;
    head_->weight.normal_(0, 0.02).clamp_(-2, 2);
    head_->bias.zero_();
  }
}

std::vector<torch::Tensor> AsMlpImpl::forward_features(const torch::Tensor& input) {
  require(input.dim() == 4 && input.size(1) == config_.in_chans && input.size(2) > 0 &&
              input.size(3) > 0,
          ErrorCode::kInvalidArgument,
          "AS-MLP input is {}, must be N x {} x H x W with at least one pixel",
          to_string(Shape(input.sizes().begin(), input.sizes().end())), config_.in_chans);
  auto x = patch_embed_(input);
  std::vector<torch::Tensor> features{x.permute({0, 3, 1, 2})};
  for (const auto& layer : *layers_) {
    x = layer->as<Stage>()->forward(x);
    features.push_back(x.permute({0, 3, 1, 2}));
  }
  return features;
}

torch::Tensor AsMlpImpl::forward_head(const torch::Tensor& last_feature) {
  const auto x = last_feature.permute({0, 2, 3, 1});
  const auto pooled = fused_group_norm(x, norm_->weight, norm_->bias).mean({1, 2});
  return head_ ? fused_linear(pooled, head_->weight, head_->bias) : pooled;
}

torch::Tensor AsMlpImpl::forward(const torch::Tensor& input) {
  return forward_head(forward_features(input).back());
}

void AsMlpImpl::set_checkpointing(bool on) {
  for (const auto& layer : *layers_) layer->as<Stage>()->set_checkpointing(on);
}

void load_parameters(torch::nn::Module& module, const TensorMap& tensors) {
  require_unquantized(tensors, "");
  const auto parameters = module.named_parameters();
  for (const auto& [name, tensor] : tensors) {
    require(parameters.contains(name), ErrorCode::kMismatch,
            "the model has no parameter '{}' (shape {} in the weights)", name,
            to_string(tensor.shape));
  }
  torch::NoGradGuard no_grad;
  for (const auto& item : parameters) {
    const auto found = tensors.find(item.key());
    require(found != tensors.end(), ErrorCode::kMismatch, "the weights have no '{}'", item.key());
    const Shape expected(item.value().sizes().begin(), item.value().sizes().end());
    require(found->second.shape == expected, ErrorCode::kMismatch,
            "parameter '{}' has shape {} in the weights, the model needs {}", item.key(),
            to_string(found->second.shape), to_string(expected));
  }
  for (const auto& item : parameters) {
    const Tensor& tensor = tensors.at(item.key());
    auto values = to_f32(tensor);
    auto parameter = item.value();
    parameter.copy_(torch::from_blob(values.data(), parameter.sizes(), torch::kFloat32));
  }
}

TensorMap export_parameters(const torch::nn::Module& module) {
  TensorMap tensors;
  for (const auto& item : module.named_parameters()) {
    const auto value = item.value().detach().to(torch::kCPU, torch::kFloat32).contiguous();
    const float* data = value.data_ptr<float>();
    tensors[item.key()] = make_tensor(Shape(value.sizes().begin(), value.sizes().end()),
                                      std::vector<float>(data, data + value.numel()));
  }
  return tensors;
}

}  // namespace asmlp::nn
