#include "asmlp/torch/nn/backbone.h"

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"
#include "asmlp/torch/ops/functional.h"

namespace asmlp::nn {

BackboneImpl::BackboneImpl(const Config& config) : config_(config) {
  validate(config);
  patch_embed_ = register_module("patch_embed", PatchEmbed(config));
  layers_ = register_module("layers", torch::nn::ModuleList());
  int first_block = 0;
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    layers_->push_back(Stage(config, stage, first_block));
    first_block += config.depths[static_cast<size_t>(stage)];
    norms_.push_back(register_module(fmt::format("norm{}", stage), make_norm(config.dim(stage))));
  }
}

std::vector<torch::Tensor> BackboneImpl::forward(const torch::Tensor& images) {
  require(images.dim() == 4 && images.size(1) == config_.in_chans && images.size(2) > 0 &&
              images.size(3) > 0,
          ErrorCode::kInvalidArgument,
          "backbone input is {}, must be N x {} x H x W with at least one pixel",
          to_string(Shape(images.sizes().begin(), images.sizes().end())), config_.in_chans);
  std::vector<torch::Tensor> maps;
  auto x = patch_embed_(images);
  for (size_t stage = 0; stage < norms_.size(); ++stage) {
    auto& layer = layers_->at<StageImpl>(stage);
    x = layer.run_blocks(x);
    const auto& norm = norms_[stage];
    maps.push_back(fused_group_norm(x, norm->weight, norm->bias).permute({0, 3, 1, 2}));
    x = layer.merge(x);
  }
  return maps;
}

void BackboneImpl::set_checkpointing(bool on) {
  for (const auto& layer : *layers_) layer->as<Stage>()->set_checkpointing(on);
}

}  // namespace asmlp::nn
