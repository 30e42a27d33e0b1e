#include "asmlp/torch/nn/blocks.h"

#include "asmlp/torch/nn/axial_shift.h"

namespace asmlp::nn {
namespace {

// Rounds height and width up to a multiple with zeros at the right and the bottom.
torch::Tensor pad_to_multiple(const torch::Tensor& x, int64_t multiple) {
  const int64_t bottom = (multiple - x.size(2) % multiple) % multiple;
  const int64_t right = (multiple - x.size(3) % multiple) % multiple;
  return bottom + right > 0 ? torch::constant_pad_nd(x, {0, right, 0, bottom}) : x;
}

}  // namespace

torch::nn::GroupNorm group_norm(int channels) {
  return torch::nn::GroupNorm(torch::nn::GroupNormOptions(1, channels).eps(kNormEps));
}

torch::nn::Conv2d pointwise(int in, int out, bool bias) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 1).bias(bias));
}

torch::Tensor drop_path(const torch::Tensor& x, double rate, bool training) {
  if (!training || rate == 0) return x;
  const double keep = 1 - rate;
  return x * torch::empty({x.size(0), 1, 1, 1}, x.options()).bernoulli_(keep).div_(keep);
}

AxialShiftBlockImpl::AxialShiftBlockImpl(const Config& config, int dim)
    : config_(config),
      conv1_(register_module("conv1", pointwise(dim, dim))),
      conv2_1_(register_module("conv2_1", pointwise(dim, dim))),
      conv2_2_(register_module("conv2_2", pointwise(dim, dim))),
      conv3_(register_module("conv3", pointwise(dim, dim))),
      norm1_(register_module("norm1", group_norm(dim))),
      norm2_(register_module("norm2", group_norm(dim))) {}

torch::Tensor AxialShiftBlockImpl::forward(torch::Tensor x) {
  const AxialShift along_w{Axis::kWidth, config_.shift_size.w, config_.dilation, config_.padding};
  const AxialShift along_h{Axis::kHeight, config_.shift_size.h, config_.dilation, config_.padding};
  x = torch::gelu(norm1_(conv1_(x)));
  const auto horizontal = torch::gelu(conv2_1_(axial_shift(x, along_w)));
  x = config_.connection == Connection::kParallel
          ? horizontal + torch::gelu(conv2_2_(axial_shift(x, along_h)))
          : torch::gelu(conv2_2_(axial_shift(horizontal, along_h)));
  return conv3_(norm2_(x));
}

MlpImpl::MlpImpl(int dim, int hidden)
    : fc1_(register_module("fc1", pointwise(dim, hidden))),
      fc2_(register_module("fc2", pointwise(hidden, dim))) {}

torch::Tensor MlpImpl::forward(const torch::Tensor& x) { return fc2_(torch::gelu(fc1_(x))); }

BlockImpl::BlockImpl(const Config& config, int stage, double drop_path)
    : drop_path_(drop_path),
      norm1_(register_module("norm1", group_norm(config.dim(stage)))),
      axial_shift_(register_module("axial_shift", AxialShiftBlock(config, config.dim(stage)))),
      norm2_(register_module("norm2", group_norm(config.dim(stage)))),
      mlp_(register_module("mlp", Mlp(config.dim(stage), config.hidden_dim(stage)))) {}

torch::Tensor BlockImpl::forward(torch::Tensor x) {
  x = x + drop_path(axial_shift_(norm1_(x)), drop_path_, is_training());
  return x + drop_path(mlp_(norm2_(x)), drop_path_, is_training());
}

PatchEmbedImpl::PatchEmbedImpl(const Config& config)
    : patch_size_(config.patch_size),
      proj_(register_module(
          "proj", torch::nn::Conv2d(
                      torch::nn::Conv2dOptions(config.in_chans, config.embed_dim, config.patch_size)
                          .stride(config.patch_size)))) {
  if (config.patch_norm) norm_ = register_module("norm", group_norm(config.embed_dim));
}

torch::Tensor PatchEmbedImpl::forward(const torch::Tensor& image) {
  const auto x = proj_(pad_to_multiple(image, patch_size_));
  return norm_ ? norm_(x) : x;
}

PatchMergingImpl::PatchMergingImpl(int dim)
    : reduction_(register_module("reduction", pointwise(4 * dim, 2 * dim, /*bias=*/false))),
      norm_(register_module("norm", group_norm(4 * dim))) {}

torch::Tensor PatchMergingImpl::forward(const torch::Tensor& input) {
  const auto x = pad_to_multiple(input, 2);
  const auto pick = [&](int64_t row, int64_t column) {
    return x.slice(2, row, c10::nullopt, 2).slice(3, column, c10::nullopt, 2);
  };
  return reduction_(norm_(torch::cat({pick(0, 0), pick(1, 0), pick(0, 1), pick(1, 1)}, 1)));
}

StageImpl::StageImpl(const Config& config, int stage, int first_block)
    : blocks_(register_module("blocks", torch::nn::ModuleList())) {
  const int last_block = std::max(1, config.num_blocks() - 1);
  for (int i = 0; i < config.depths[stage]; ++i) {
    blocks_->push_back(Block(config, stage, config.drop_path * (first_block + i) / last_block));
  }
  if (stage + 1 < config.num_stages()) {
    downsample_ = register_module("downsample", PatchMerging(config.dim(stage)));
  }
}

torch::Tensor StageImpl::forward(torch::Tensor x) {
  for (const auto& block : *blocks_) x = block->as<Block>()->forward(x);
  return downsample_ ? downsample_(x) : x;
}

}  // namespace asmlp::nn
