#include "asmlp/torch/baselines/swin.h"

#include <algorithm>
#include <numeric>

#include "asmlp/core/error.h"

namespace asmlp::nn {

SwinBlockImpl::SwinBlockImpl(int64_t dim, int64_t heads, int64_t window, int64_t shift,
                             int64_t hidden, double drop_path)
    : window_(window),
      shift_(shift),
      drop_path_(drop_path),
      norm1_(register_module("norm1", layer_norm(dim))),
      attn_(register_module("attn", WindowAttention(dim, window, heads))),
      norm2_(register_module("norm2", layer_norm(dim))),
      mlp_(register_module("mlp", FeedForward(dim, hidden))) {}

const torch::Tensor& SwinBlockImpl::mask_for(int64_t h, int64_t w, const torch::Device& device) {
  if (!mask_.defined() || h != mask_h_ || w != mask_w_ || mask_.device() != device) {
    mask_ = shift_mask(h, w, window_, shift_).to(device);
    mask_h_ = h;
    mask_w_ = w;
  }
  return mask_;
}

torch::Tensor SwinBlockImpl::attend(const torch::Tensor& input) {
  auto x = pad_map(input, window_);
  const int64_t h = x.size(1), w = x.size(2);
  if (shift_ > 0) x = torch::roll(x, {-shift_, -shift_}, {1, 2});
  const auto mask = shift_ > 0 ? mask_for(h, w, x.device()) : torch::Tensor();
  x = window_reverse(attn_(window_partition(x, window_), mask), window_, h, w);
  if (shift_ > 0) x = torch::roll(x, {shift_, shift_}, {1, 2});
  return x.slice(1, 0, input.size(1)).slice(2, 0, input.size(2));
}

torch::Tensor SwinBlockImpl::forward(const torch::Tensor& input) {
  const auto x = add_branch(input, attend(norm1_(input)), drop_path_, is_training());
  return add_branch(x, mlp_(norm2_(x)), drop_path_, is_training());
}

SwinMergingImpl::SwinMergingImpl(int64_t dim)
    : reduction_(register_module(
          "reduction", torch::nn::Linear(torch::nn::LinearOptions(4 * dim, 2 * dim).bias(false)))),
      norm_(register_module("norm", layer_norm(4 * dim))) {}

torch::Tensor SwinMergingImpl::forward(const torch::Tensor& input) {
  const auto x = pad_map(input, 2);
  // Channels of the tokens (0,0), (1,0), (0,1), (1,1) of each 2 x 2 square (row, column).
  const int64_t n = x.size(0), h = x.size(1) / 2, w = x.size(2) / 2, c = x.size(3);
  const auto squares =
      x.reshape({n, h, 2, w, 2, c}).permute({0, 1, 3, 4, 2, 5}).reshape({n, h, w, 4 * c});
  return project(norm_(squares), reduction_);
}

SwinStageImpl::SwinStageImpl(const SwinConfig& swin, int stage, int64_t map_side,
                             const std::vector<double>& drop_path)
    : blocks_(register_module("blocks", torch::nn::ModuleList())) {
  const int64_t window = swin.window(map_side);
  for (size_t i = 0; i < drop_path.size(); ++i) {
    // Every second block is shifted by half a window, unless one window is the whole map.
    const int64_t shift = i % 2 == 0 || map_side <= swin.window_size ? 0 : window / 2;
    blocks_->push_back(SwinBlock(swin.dim(stage), swin.num_heads[stage], window, shift,
                                 swin.hidden_dim(stage), drop_path[i]));
  }
  if (stage + 1 < swin.num_stages()) {
    downsample_ = register_module("downsample", SwinMerging(swin.dim(stage)));
  }
}

torch::Tensor SwinStageImpl::forward(torch::Tensor x) {
  for (const auto& block : *blocks_) x = block->as<SwinBlock>()->forward(x);
  return downsample_ ? downsample_(x) : x;
}

SwinImpl::SwinImpl(const ModelSpec& spec, const SwinConfig& swin)
    : spec_(spec),
      patch_embed_(register_module(
          "patch_embed", PatchProjection(spec.config.in_chans, swin.embed_dim, swin.patch_size,
                                         swin.patch_norm ? PatchProjectionImpl::Norm::kLayerNorm
                                                         : PatchProjectionImpl::Norm::kNone))),
      layers_(register_module("layers", torch::nn::ModuleList())),
      norm_(nullptr) {
  const int blocks = std::accumulate(swin.depths.begin(), swin.depths.end(), 0);
  int block = 0;
  for (int stage = 0; stage < swin.num_stages(); ++stage) {
    std::vector<double> rates;
    for (int i = 0; i < swin.depths[stage]; ++i, ++block) {
      rates.push_back(spec.config.drop_path * block / std::max(1, blocks - 1));
    }
    layers_->push_back(
        SwinStage(swin, stage, swin.map_side(spec.preprocessing.size, stage), rates));
  }
  const int64_t features = swin.num_features();
  norm_ = register_module("norm", layer_norm(features));
  if (spec.config.num_classes > 0) {
    head_ = register_module("head", torch::nn::Linear(features, spec.config.num_classes));
  }
  torch::NoGradGuard no_grad;
  for (auto& item : named_parameters()) {
    if (item.key().starts_with("patch_embed.proj")) continue;
    if (item.value().dim() == 2) {
      truncated_normal(item.value());
    } else if (item.key().ends_with("bias")) {
      item.value().zero_();
    }
  }
}

std::vector<torch::Tensor> SwinImpl::forward_features(const torch::Tensor& images) {
  check_images(images, spec_, "Swin");
  std::vector<torch::Tensor> features{patch_embed_(images)};
  for (const auto& layer : *layers_) {
    features.push_back(layer->as<SwinStage>()->forward(features.back()));
  }
  return features;
}

torch::Tensor SwinImpl::forward(const torch::Tensor& images) {
  const auto pooled = norm_(forward_features(images).back()).mean({1, 2});
  return head_ ? head_(pooled) : pooled;
}

Classifier make_classifier(const ModelSpec& spec, const SwinConfig& swin) {
  return std::make_shared<SwinImpl>(spec, swin);
}

}  // namespace asmlp::nn
