#include "asmlp/torch/baselines/mlp_mixer.h"

#include "asmlp/core/error.h"

namespace asmlp::nn {
namespace {

constexpr double kMixerEps = 1e-6;

}  // namespace

MixerBlockImpl::MixerBlockImpl(int64_t tokens, const MlpMixerConfig& mixer, double drop_path)
    : drop_path_(drop_path),
      norm1_(register_module("norm1", layer_norm(mixer.embed_dim, kMixerEps))),
      mlp_tokens_(register_module("mlp_tokens", FeedForward(tokens, mixer.token_width()))),
      norm2_(register_module("norm2", layer_norm(mixer.embed_dim, kMixerEps))),
      mlp_channels_(
          register_module("mlp_channels", FeedForward(mixer.embed_dim, mixer.channel_width()))) {}

torch::Tensor MixerBlockImpl::forward(const torch::Tensor& input) {
  const auto by_channel = norm1_(input).flatten(1, 2).transpose(1, 2);
  const auto mixed = mlp_tokens_(by_channel).transpose(1, 2).reshape(input.sizes());
  const auto x = add_branch(input, mixed, drop_path_, is_training());
  return add_branch(x, mlp_channels_(norm2_(x)), drop_path_, is_training());
}

MlpMixerImpl::MlpMixerImpl(const ModelSpec& spec, const MlpMixerConfig& mixer)
    : spec_(spec),
      stem_(register_module("stem",
                            PatchProjection(spec.config.in_chans, mixer.embed_dim, mixer.patch_size,
                                            PatchProjectionImpl::Norm::kNone))),
      blocks_(register_module("blocks", torch::nn::ModuleList())),
      norm_(nullptr) {
  for (int i = 0; i < mixer.depth; ++i) {
    blocks_->push_back(
        MixerBlock(mixer.tokens(spec.preprocessing.size), mixer, spec.config.drop_path));
  }
  norm_ = register_module("norm", layer_norm(mixer.embed_dim, kMixerEps));
  torch::NoGradGuard no_grad;
  for (auto& item : blocks_->named_parameters()) {
    if (item.key().find("mlp_") == std::string::npos) continue;
    if (item.value().dim() == 2) {
      torch::nn::init::xavier_uniform_(item.value());
    } else {
      item.value().normal_(0, 1e-6);
    }
  }
  lecun_normal(stem_->proj->weight);
  stem_->proj->bias.zero_();
  if (spec.config.num_classes > 0) {
    head_ = register_module("head", torch::nn::Linear(mixer.embed_dim, spec.config.num_classes));
    head_->weight.zero_();
    head_->bias.zero_();
  }
}

torch::Tensor MlpMixerImpl::forward(const torch::Tensor& images) {
  check_images(images, spec_, "MLP-Mixer");
  check_image_size(images.size(2), images.size(3), spec_, "MLP-Mixer");
  auto x = stem_(images);
  for (const auto& block : *blocks_) x = block->as<MixerBlock>()->forward(x);
  const auto pooled = norm_(x).mean({1, 2});
  return head_ ? head_(pooled) : pooled;
}

Classifier make_classifier(const ModelSpec& spec, const MlpMixerConfig& mixer) {
  return std::make_shared<MlpMixerImpl>(spec, mixer);
}

}  // namespace asmlp::nn
