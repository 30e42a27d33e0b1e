#include "asmlp/torch/baselines/mlp_mixer.h"

#include "asmlp/core/error.h"

namespace asmlp::nn {
namespace {

constexpr double kMixerEps = 1e-6;

int64_t token_width(const MlpMixerConfig& mixer) {
  return static_cast<int64_t>(mixer.embed_dim * mixer.token_ratio);
}
int64_t channel_width(const MlpMixerConfig& mixer) {
  return static_cast<int64_t>(mixer.embed_dim * mixer.channel_ratio);
}
int64_t tokens_of(const ModelSpec& spec, const MlpMixerConfig& mixer) {
  const int64_t side = spec.preprocessing.size / mixer.patch_size;
  return side * side;
}

}  // namespace

MixerBlockImpl::MixerBlockImpl(int64_t tokens, const MlpMixerConfig& mixer, double drop_path)
    : drop_path_(drop_path),
      norm1_(register_module("norm1", layer_norm(mixer.embed_dim, kMixerEps))),
      mlp_tokens_(register_module("mlp_tokens", FeedForward(tokens, token_width(mixer)))),
      norm2_(register_module("norm2", layer_norm(mixer.embed_dim, kMixerEps))),
      mlp_channels_(
          register_module("mlp_channels", FeedForward(mixer.embed_dim, channel_width(mixer)))) {}

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
    blocks_->push_back(MixerBlock(tokens_of(spec, mixer), mixer, spec.config.drop_path));
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

void validate(const ModelSpec& spec, const MlpMixerConfig& mixer) {
  check_field("embed_dim", mixer.embed_dim, 1, 1 << 15);
  check_field("depth", mixer.depth, 0, 256);
  check_patches(mixer.patch_size, spec);
  check_field("token_ratio", mixer.token_ratio, 0, 64);
  check_field("channel_ratio", mixer.channel_ratio, 0, 64);
  check_field("hidden width over tokens (embed_dim * token_ratio)",
              static_cast<double>(token_width(mixer)), 1, 1 << 20);
  check_field("hidden width over channels (embed_dim * channel_ratio)",
              static_cast<double>(channel_width(mixer)), 1, 1 << 20);
}

Classifier make_classifier(const ModelSpec& spec, const MlpMixerConfig& mixer) {
  return std::make_shared<MlpMixerImpl>(spec, mixer);
}

int64_t parameter_count(const ModelSpec& spec, const MlpMixerConfig& mixer) {
  const int64_t dim = mixer.embed_dim, tokens = tokens_of(spec, mixer);
  const int64_t over_tokens = token_width(mixer), over_channels = channel_width(mixer);
  const int64_t patch = int64_t{spec.config.in_chans} * mixer.patch_size * mixer.patch_size;
  const int64_t classes = spec.config.num_classes;
  return linear_parameters(patch, dim) +
         mixer.depth *
             (4 * dim + linear_parameters(tokens, over_tokens) +
              linear_parameters(over_tokens, tokens) + linear_parameters(dim, over_channels) +
              linear_parameters(over_channels, dim)) +
         2 * dim + (classes > 0 ? linear_parameters(dim, classes) : 0);
}

int64_t multiply_adds(const ModelSpec& spec, const MlpMixerConfig& mixer, int h, int w) {
  check_image_size(h, w, spec, "MLP-Mixer");
  const int64_t dim = mixer.embed_dim, tokens = tokens_of(spec, mixer);
  const int64_t patch = int64_t{spec.config.in_chans} * mixer.patch_size * mixer.patch_size;
  return tokens * dim * patch +
         mixer.depth * 2 * tokens * dim * (1 + token_width(mixer) + channel_width(mixer)) +
         tokens * dim + dim * spec.config.num_classes;
}

}  // namespace asmlp::nn
