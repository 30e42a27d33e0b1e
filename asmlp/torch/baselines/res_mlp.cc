#include "asmlp/torch/baselines/res_mlp.h"

#include "asmlp/core/error.h"

namespace asmlp::nn {
AffineImpl::AffineImpl(int64_t dim)
    : alpha_(register_parameter("alpha", torch::ones({1, 1, dim}))),
      beta_(register_parameter("beta", torch::zeros({1, 1, dim}))) {}

torch::Tensor AffineImpl::forward(const torch::Tensor& x) {
  return torch::addcmul(beta_, alpha_, x);
}

ResMlpBlockImpl::ResMlpBlockImpl(int64_t tokens, const ResMlpConfig& res_mlp, double drop_path)
    : drop_path_(drop_path),
      ls1_(register_parameter("ls1", torch::full({res_mlp.embed_dim}, res_mlp.init_values))),
      ls2_(register_parameter("ls2", torch::full({res_mlp.embed_dim}, res_mlp.init_values))),
      norm1_(register_module("norm1", Affine(res_mlp.embed_dim))),
      linear_tokens_(register_module("linear_tokens", torch::nn::Linear(tokens, tokens))),
      norm2_(register_module("norm2", Affine(res_mlp.embed_dim))),
      mlp_channels_(
          register_module("mlp_channels", FeedForward(res_mlp.embed_dim, res_mlp.hidden_dim()))) {}

torch::Tensor ResMlpBlockImpl::forward(const torch::Tensor& input) {
  const auto mixed = mix_positions(norm1_(input), linear_tokens_);
  const auto x = add_branch(input, ls1_ * mixed, drop_path_, is_training());
  return add_branch(x, ls2_ * mlp_channels_(norm2_(x)), drop_path_, is_training());
}

ResMlpImpl::ResMlpImpl(const ModelSpec& spec, const ResMlpConfig& res_mlp)
    : spec_(spec),
      stem_(register_module(
          "stem", PatchProjection(spec.config.in_chans, res_mlp.embed_dim, res_mlp.patch_size,
                                  PatchProjectionImpl::Norm::kNone))),
      blocks_(register_module("blocks", torch::nn::ModuleList())),
      norm_(nullptr) {
  for (int i = 0; i < res_mlp.depth; ++i) {
    blocks_->push_back(
        ResMlpBlock(res_mlp.tokens(spec.preprocessing.size), res_mlp, spec.config.drop_path));
  }
  norm_ = register_module("norm", Affine(res_mlp.embed_dim));
  torch::NoGradGuard no_grad;
  for (auto& item : blocks_->named_parameters()) {
    if (item.value().dim() == 2) {
      torch::nn::init::xavier_uniform_(item.value());
    } else if (item.key().ends_with("bias")) {
      const bool in_mlp = item.key().find("mlp_") != std::string::npos;
      in_mlp ? item.value().normal_(0, 1e-6) : item.value().zero_();
    }
  }
  lecun_normal(stem_->proj->weight);
  stem_->proj->bias.zero_();
  if (spec.config.num_classes > 0) {
    head_ = register_module("head", torch::nn::Linear(res_mlp.embed_dim, spec.config.num_classes));
    head_->weight.zero_();
    head_->bias.zero_();
  }
}

torch::Tensor ResMlpImpl::forward(const torch::Tensor& images) {
  check_images(images, spec_, "ResMLP");
  check_image_size(images.size(2), images.size(3), spec_, "ResMLP");
  auto x = stem_(images);
  for (const auto& block : *blocks_) x = block->as<ResMlpBlock>()->forward(x);
  const auto pooled = norm_(x).mean({1, 2});
  return head_ ? head_(pooled) : pooled;
}

Classifier make_classifier(const ModelSpec& spec, const ResMlpConfig& res_mlp) {
  return std::make_shared<ResMlpImpl>(spec, res_mlp);
}

}  // namespace asmlp::nn
