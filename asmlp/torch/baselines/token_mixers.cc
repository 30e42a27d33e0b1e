#include "asmlp/torch/baselines/token_mixers.h"

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/model/params.h"
#include "asmlp/torch/baselines/layers.h"
#include "asmlp/torch/baselines/swin_window.h"
#include "asmlp/torch/ops/functional.h"

namespace asmlp::nn {
namespace {

torch::Tensor project(const torch::Tensor& x, const torch::nn::Conv2d& conv,
                      Activation activation = Activation::kNone) {
  return fused_linear(x, conv->weight, conv->bias, activation);
}

torch::Tensor normalized(const torch::Tensor& x, const torch::nn::GroupNorm& norm,
                         Activation activation = Activation::kNone) {
  return fused_group_norm(x, norm->weight, norm->bias, activation);
}

// linear over dimension 1 (rows) or 2 (columns) of N x h x w x C.
torch::Tensor mix_axis(const torch::Tensor& x, const torch::nn::Linear& linear, int64_t axis) {
  return nn::project(x.transpose(axis, 3), linear).transpose(axis, 3);
}

torch::Tensor mix_windows(const torch::Tensor& input, const torch::nn::Linear& linear, int64_t s) {
  const auto x = pad_map(input, s);
  const auto by_channel = window_partition(x, s).transpose(1, 2);
  const auto mixed = nn::project(by_channel, linear).transpose(1, 2);
  return window_reverse(mixed, s, x.size(1), x.size(2))
      .slice(1, 0, input.size(1))
      .slice(2, 0, input.size(2));
}

}  // namespace

TokenMixerBlockImpl::TokenMixerBlockImpl(const Config& config, const TokenMixerConfig& mixer,
                                         int dim, int side)
    : kind_(mixer.mixer),
      connection_(config.connection),
      window_(std::min(mixer.window_size, side)) {
  conv1_ = register_module("conv1", make_pointwise(dim, dim));
  if (kind_ == TokenMixer::kAxialMlp) {
    token_w_ = register_module("token_w", torch::nn::Linear(side, side));
    token_h_ = register_module("token_h", torch::nn::Linear(side, side));
    conv2_1_ = register_module("conv2_1", make_pointwise(dim, dim));
    conv2_2_ = register_module("conv2_2", make_pointwise(dim, dim));
  } else {
    const int tokens = kind_ == TokenMixer::kGlobalMlp ? side * side : window_ * window_;
    token_ = register_module("token", torch::nn::Linear(tokens, tokens));
    conv2_ = register_module("conv2", make_pointwise(dim, dim));
  }
  conv3_ = register_module("conv3", make_pointwise(dim, dim));
  norm1_ = register_module("norm1", make_norm(dim));
  norm2_ = register_module("norm2", make_norm(dim));
}

torch::Tensor TokenMixerBlockImpl::mix(const torch::Tensor& x) {
  switch (kind_) {
    case TokenMixer::kGlobalMlp:
      return project(mix_positions(x, token_), conv2_, Activation::kGelu);
    case TokenMixer::kWindowMlp:
      return project(mix_windows(x, token_, window_), conv2_, Activation::kGelu);
    case TokenMixer::kAxialMlp:
      break;
  }
  const auto horizontal = project(mix_axis(x, token_w_, 2), conv2_1_, Activation::kGelu);
  const bool parallel = connection_ == Connection::kParallel;
  const auto vertical =
      project(mix_axis(parallel ? x : horizontal, token_h_, 1), conv2_2_, Activation::kGelu);
  return parallel ? horizontal + vertical : vertical;
}

torch::Tensor TokenMixerBlockImpl::forward(const torch::Tensor& input) {
  const auto x = normalized(project(input, conv1_), norm1_, Activation::kGelu);
  return project(normalized(mix(x), norm2_), conv3_);
}

MixedBlockImpl::MixedBlockImpl(const Config& config, const TokenMixerConfig& mixer, int stage,
                               int side, double drop_path)
    : drop_path_(drop_path),
      norm1_(register_module("norm1", make_norm(config.dim(stage)))),
      token_mixer_(
          register_module("token_mixer", TokenMixerBlock(config, mixer, config.dim(stage), side))),
      norm2_(register_module("norm2", make_norm(config.dim(stage)))),
      mlp_(register_module("mlp", Mlp(config.dim(stage), config.hidden_dim(stage)))) {}

torch::Tensor MixedBlockImpl::forward(const torch::Tensor& input) {
  const auto fork = fork_group_norm(input, norm1_->weight, norm1_->bias);
  const auto x = add_branch(fork.x, token_mixer_(fork.normal), drop_path_, is_training());
  return mlp_->add_to({x, {}}, norm2_, drop_path_scale(x, drop_path_, is_training())).x;
}

MixedStageImpl::MixedStageImpl(const Config& config, const TokenMixerConfig& mixer, int stage,
                               int side, int first_block)
    : blocks_(register_module("blocks", torch::nn::ModuleList())) {
  const int last_block = std::max(1, config.num_blocks() - 1);
  for (int i = 0; i < config.depths[stage]; ++i) {
    blocks_->push_back(
        MixedBlock(config, mixer, stage, side, config.drop_path * (first_block + i) / last_block));
  }
  if (stage + 1 < config.num_stages()) {
    downsample_ = register_module("downsample", PatchMerging(config, stage));
  }
}

torch::Tensor MixedStageImpl::forward(torch::Tensor x) {
  for (const auto& block : *blocks_) x = block->as<MixedBlock>()->forward(x);
  return downsample_ ? downsample_(x) : x;
}

MixedAsMlpImpl::MixedAsMlpImpl(const ModelSpec& spec, const TokenMixerConfig& mixer)
    : spec_(spec),
      kind_(mixer.mixer),
      patch_embed_(register_module("patch_embed", PatchEmbed(spec.config))),
      layers_(register_module("layers", torch::nn::ModuleList())),
      norm_(nullptr) {
  const Config& config = spec.config;
  const auto maps = stage_sizes(config, spec.preprocessing.size, spec.preprocessing.size);
  int first_block = 0;
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    layers_->push_back(MixedStage(config, mixer, stage, maps[stage].h, first_block));
    first_block += config.depths[stage];
  }
  norm_ = register_module("norm", make_norm(config.num_features()));
  if (config.num_classes > 0) {
    head_ = register_module("head", torch::nn::Linear(config.num_features(), config.num_classes));
    torch::NoGradGuard no_grad;
    truncated_normal(head_->weight);
    head_->bias.zero_();
  }
}

torch::Tensor MixedAsMlpImpl::forward(const torch::Tensor& images) {
  check_images(images, spec_, to_string(kind_));
  if (kind_ != TokenMixer::kWindowMlp) {
    check_image_size(images.size(2), images.size(3), spec_, to_string(kind_));
  }
  auto x = patch_embed_(images);
  for (const auto& layer : *layers_) x = layer->as<MixedStage>()->forward(x);
  const auto pooled = normalized(x, norm_).mean({1, 2});
  return head_ ? head_(pooled) : pooled;
}

Classifier make_classifier(const ModelSpec& spec, const TokenMixerConfig& mixer) {
  return std::make_shared<MixedAsMlpImpl>(spec, mixer);
}

}  // namespace asmlp::nn
