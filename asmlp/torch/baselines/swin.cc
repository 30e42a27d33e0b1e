#include "asmlp/torch/baselines/swin.h"

#include <algorithm>
#include <numeric>

#include "asmlp/core/error.h"

namespace asmlp::nn {
namespace {

int64_t dim_of(const SwinConfig& swin, int stage) { return int64_t{swin.embed_dim} << stage; }
int64_t hidden_of(const SwinConfig& swin, int stage) {
  return static_cast<int64_t>(static_cast<double>(dim_of(swin, stage)) * swin.mlp_ratio);
}
int stages_of(const SwinConfig& swin) { return static_cast<int>(swin.depths.size()); }

// Side of a stage's map for a square image of `size` pixels.
int64_t map_side(const SwinConfig& swin, int64_t size, int stage) {
  int64_t side = (size + swin.patch_size - 1) / swin.patch_size;
  for (; stage > 0; --stage) side = (side + 1) / 2;
  return side;
}

int64_t window_of(const SwinConfig& swin, int64_t side) {
  return std::min<int64_t>(swin.window_size, side);
}

}  // namespace

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
  const int64_t window = window_of(swin, map_side);
  for (size_t i = 0; i < drop_path.size(); ++i) {
    // Every second block is shifted by half a window, unless one window is the whole map.
    const int64_t shift = i % 2 == 0 || map_side <= swin.window_size ? 0 : window / 2;
    blocks_->push_back(SwinBlock(dim_of(swin, stage), swin.num_heads[stage], window, shift,
                                 hidden_of(swin, stage), drop_path[i]));
  }
  if (stage + 1 < stages_of(swin)) {
    downsample_ = register_module("downsample", SwinMerging(dim_of(swin, stage)));
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
  for (int stage = 0; stage < stages_of(swin); ++stage) {
    std::vector<double> rates;
    for (int i = 0; i < swin.depths[stage]; ++i, ++block) {
      rates.push_back(spec.config.drop_path * block / std::max(1, blocks - 1));
    }
    layers_->push_back(
        SwinStage(swin, stage, map_side(swin, spec.preprocessing.size, stage), rates));
  }
  const int64_t features = dim_of(swin, stages_of(swin) - 1);
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

void validate(const ModelSpec&, const SwinConfig& swin) {
  check_field("embed_dim", swin.embed_dim, 1, 4096);
  check_field("number of stages (depths)", stages_of(swin), 1, 8);
  require(swin.num_heads.size() == swin.depths.size(), ErrorCode::kInvalidArgument,
          "config: num_heads has {} values, must have one per stage (depths has {})",
          swin.num_heads.size(), swin.depths.size());
  for (int stage = 0; stage < stages_of(swin); ++stage) {
    check_field("depth of a stage (depths)", swin.depths[stage], 0, 256);
    check_field("heads of a stage (num_heads)", swin.num_heads[stage], 1, 1024);
    require(dim_of(swin, stage) % swin.num_heads[stage] == 0, ErrorCode::kInvalidArgument,
            "config: num_heads is {} in stage {}, must divide its {} channels",
            swin.num_heads[stage], stage, dim_of(swin, stage));
  }
  check_field("channels of the last stage (embed_dim * 2^(stages-1))",
              static_cast<double>(dim_of(swin, stages_of(swin) - 1)), 1, 1 << 15);
  check_field("patch_size", swin.patch_size, 1, 64);
  check_field("window_size", swin.window_size, 1, 64);
  check_field("mlp_ratio", swin.mlp_ratio, 0, 64);
  check_field("hidden channels (embed_dim * mlp_ratio)", static_cast<double>(hidden_of(swin, 0)), 1,
              1 << 20);
}

Classifier make_classifier(const ModelSpec& spec, const SwinConfig& swin) {
  return std::make_shared<SwinImpl>(spec, swin);
}

int64_t parameter_count(const ModelSpec& spec, const SwinConfig& swin) {
  const int64_t patch = int64_t{spec.config.in_chans} * swin.patch_size * swin.patch_size;
  int64_t total = linear_parameters(patch, swin.embed_dim);
  if (swin.patch_norm) total += 2 * swin.embed_dim;
  for (int stage = 0; stage < stages_of(swin); ++stage) {
    const int64_t dim = dim_of(swin, stage), hidden = hidden_of(swin, stage);
    const int64_t span = 2 * window_of(swin, map_side(swin, spec.preprocessing.size, stage)) - 1;
    total +=
        swin.depths[stage] * (4 * dim + linear_parameters(dim, 3 * dim) +
                              linear_parameters(dim, dim) + span * span * swin.num_heads[stage] +
                              linear_parameters(dim, hidden) + linear_parameters(hidden, dim));
    if (stage + 1 < stages_of(swin)) total += 8 * dim + 4 * dim * 2 * dim;
  }
  const int64_t features = dim_of(swin, stages_of(swin) - 1), classes = spec.config.num_classes;
  return total + 2 * features + (classes > 0 ? linear_parameters(features, classes) : 0);
}

int64_t multiply_adds(const ModelSpec& spec, const SwinConfig& swin, int h, int w) {
  const auto up = [](int64_t size, int64_t multiple) { return (size + multiple - 1) / multiple; };
  int64_t rows = up(h, swin.patch_size), columns = up(w, swin.patch_size);
  const int64_t patches = rows * columns;
  const int64_t pixels = int64_t{spec.config.in_chans} * swin.patch_size * swin.patch_size;
  int64_t total = patches * swin.embed_dim * (pixels + (swin.patch_norm ? 1 : 0));
  for (int stage = 0; stage < stages_of(swin); ++stage) {
    const int64_t dim = dim_of(swin, stage), hidden = hidden_of(swin, stage);
    const int64_t side = window_of(swin, map_side(swin, spec.preprocessing.size, stage));
    const int64_t windows = up(rows, side) * up(columns, side), tokens = side * side;
    total += swin.depths[stage] * (rows * columns * (2 * dim + 2 * dim * hidden) +
                                   windows * (4 * tokens * dim * dim + 2 * tokens * tokens * dim));
    if (stage + 1 == stages_of(swin)) break;
    const int64_t merged = up(rows, 2) * up(columns, 2);
    // The authors' norm before the projection is counted on the tokens before they are padded.
    total += rows * columns * dim + merged * 4 * dim * 2 * dim;
    rows = up(rows, 2);
    columns = up(columns, 2);
  }
  const int64_t features = dim_of(swin, stages_of(swin) - 1);
  return total + features * patches / (int64_t{1} << stages_of(swin)) +
         features * spec.config.num_classes;
}

}  // namespace asmlp::nn
