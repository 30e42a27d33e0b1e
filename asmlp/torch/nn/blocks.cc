#include "asmlp/torch/nn/blocks.h"

#include <algorithm>
#include <vector>

#include "asmlp/torch/nn/checkpoint.h"
#include "asmlp/torch/ops/axial_shift.h"
#include "asmlp/torch/ops/conv/halving.h"

namespace asmlp::nn {
namespace {

Projection projection(const torch::nn::Conv2d& conv) { return {conv->weight, conv->bias}; }
Projection affine(const torch::nn::GroupNorm& norm) { return {norm->weight, norm->bias}; }

torch::Tensor project(const torch::Tensor& x, const torch::nn::Conv2d& conv,
                      Activation activation = Activation::kNone) {
  return fused_linear(x, conv->weight, conv->bias, activation);
}

torch::Tensor normalized(const torch::Tensor& x, const torch::nn::GroupNorm& norm,
                         Activation activation = Activation::kNone) {
  return fused_group_norm(x, norm->weight, norm->bias, activation);
}

// Zeros that complete `size` to a multiple.
int64_t missing(int64_t size, int64_t multiple) { return (multiple - size % multiple) % multiple; }

// torch::constant_pad_nd copies where there is nothing to do.
torch::Tensor zero_pad(const torch::Tensor& x, const std::vector<int64_t>& pads) {
  const bool any = std::ranges::any_of(pads, [](int64_t pad) { return pad != 0; });
  return any ? torch::constant_pad_nd(x, pads) : x;
}

}  // namespace

torch::nn::GroupNorm make_norm(int channels) {
  return torch::nn::GroupNorm(torch::nn::GroupNormOptions(1, channels).eps(kNormEps));
}

torch::nn::Conv2d make_pointwise(int in, int out, bool bias) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 1).bias(bias));
}

torch::Tensor drop_path_scale(const torch::Tensor& x, double rate, bool training) {
  if (!training || rate == 0) return {};
  const double keep = 1 - rate;
  return torch::empty({x.size(0)}, x.options().dtype(torch::kFloat)).bernoulli_(keep).div_(keep);
}

torch::Tensor drop_path(const torch::Tensor& x, double rate, bool training) {
  const auto scale = drop_path_scale(x, rate, training);
  if (!scale.defined()) return x;
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  return x * scale.to(x.scalar_type()).reshape(shape);
}

AxialShiftBlockImpl::AxialShiftBlockImpl(const Config& config, int dim)
    : config_(config),
      conv1_(register_module("conv1", make_pointwise(dim, dim))),
      conv2_1_(register_module("conv2_1", make_pointwise(dim, dim))),
      conv2_2_(register_module("conv2_2", make_pointwise(dim, dim))),
      conv3_(register_module("conv3", make_pointwise(dim, dim))),
      norm1_(register_module("norm1", make_norm(dim))),
      norm2_(register_module("norm2", make_norm(dim))) {}

AxialShift AxialShiftBlockImpl::along_w() const {
  return {Axis::kWidth, config_.shift_size.w, config_.dilation, config_.padding};
}
AxialShift AxialShiftBlockImpl::along_h() const {
  return {Axis::kHeight, config_.shift_size.h, config_.dilation, config_.padding};
}

torch::Tensor AxialShiftBlockImpl::forward(torch::Tensor x) {
  x = normalized(project(x, conv1_), norm1_, Activation::kGelu);
  if (config_.connection == Connection::kParallel) {
    x = project(axial_shift(x, along_w()), conv2_1_, Activation::kGelu) +
        project(axial_shift(x, along_h()), conv2_2_, Activation::kGelu);
  } else {
    x = project(axial_shift(x, along_w()), conv2_1_, Activation::kGelu);
    x = project(axial_shift(x, along_h()), conv2_2_, Activation::kGelu);
  }
  return project(normalized(x, norm2_), conv3_);
}

FeatureMap AxialShiftBlockImpl::add_to(const FeatureMap& x, const torch::nn::GroupNorm& norm,
                                       const torch::Tensor& scale) {
  if (config_.connection == Connection::kParallel) {
    return fused_shift_block(
        x,
        {affine(norm), projection(conv1_), affine(norm1_), projection(conv2_1_),
         projection(conv2_2_), affine(norm2_), projection(conv3_), along_w(), along_h()},
        scale);
  }
  const auto fork = fork_group_norm(x.x, norm->weight, norm->bias);
  return {fused_add(fork.x, forward(fork.normal), scale), {}};
}

MlpImpl::MlpImpl(int dim, int hidden)
    : fc1_(register_module("fc1", make_pointwise(dim, hidden))),
      fc2_(register_module("fc2", make_pointwise(hidden, dim))) {}

torch::Tensor MlpImpl::forward(const torch::Tensor& x) {
  return fused_mlp(x, projection(fc1_), projection(fc2_));
}

FeatureMap MlpImpl::add_to(const FeatureMap& x, const torch::nn::GroupNorm& norm,
                           const torch::Tensor& scale) {
  return fused_mlp_block(x, affine(norm), projection(fc1_), projection(fc2_), scale);
}

BlockImpl::BlockImpl(const Config& config, int stage, double drop_path)
    : drop_path_(drop_path),
      norm1_(register_module("norm1", make_norm(config.dim(stage)))),
      axial_shift_(register_module("axial_shift", AxialShiftBlock(config, config.dim(stage)))),
      norm2_(register_module("norm2", make_norm(config.dim(stage)))),
      mlp_(register_module("mlp", Mlp(config.dim(stage), config.hidden_dim(stage)))) {}

FeatureMap BlockImpl::forward(const FeatureMap& x) {
  // The factors are drawn in this order: a resumed run draws the same.
  const auto factors = [&] { return drop_path_scale(x.x, drop_path_, is_training()); };
  const FeatureMap shifted = axial_shift_->add_to(x, norm1_, factors());
  return mlp_->add_to(shifted, norm2_, factors());
}

PatchEmbedImpl::PatchEmbedImpl(const Config& config) : config_(config) {
  const auto halving = [](int in, int out) {
    return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).stride(2).padding(1));
  };
  int in = config.in_chans;
  torch::nn::ModuleList steps;
  if (config.stem_convs() > 0) register_module("stem", steps);
  for (int i = 0; i < config.stem_convs(); in = config.stem_dim(i++)) {
    const int out = config.stem_dim(i);
    const auto step = std::make_shared<torch::nn::Module>();
    stem_.emplace_back(step->register_module("conv", halving(in, out)),
                       step->register_module("norm", make_norm(out)));
    steps->push_back(step);
  }
  const int p = config.patch_size;
  proj_ = register_module(
      "proj", config.stem == Stem::kConv
                  ? halving(in, config.embed_dim)
                  : torch::nn::Conv2d(torch::nn::Conv2dOptions(in, config.embed_dim, p).stride(p)));
  if (config.patch_norm) norm_ = register_module("norm", make_norm(config.embed_dim));
}

torch::Tensor PatchEmbedImpl::forward(const torch::Tensor& image) {
  const auto x = config_.stem == Stem::kConv ? convolve(image) : project_patches(image);
  return norm_ ? normalized(x, norm_) : x;
}

torch::Tensor PatchEmbedImpl::convolve(const torch::Tensor& image) const {
  auto x = image.permute({0, 2, 3, 1});
  for (const auto& [conv, norm] : stem_) {
    x = normalized(halving_conv(x, conv->weight, conv->bias), norm, Activation::kGelu);
  }
  return halving_conv(x, proj_->weight, proj_->bias);
}

torch::Tensor PatchEmbedImpl::project_patches(const torch::Tensor& image) const {
  const int64_t p = config_.patch_size;
  const auto padded = zero_pad(image, {0, missing(image.size(3), p), 0, missing(image.size(2), p)});
  // A convolution whose patches do not overlap is a projection of the patches.
  const int64_t n = image.size(0), h = padded.size(2) / p, w = padded.size(3) / p;
  const auto patches = padded.reshape({n, -1, h, p, w, p})
                           .permute({0, 2, 4, 1, 3, 5})
                           .reshape({n, h, w, image.size(1) * p * p});
  return fused_linear(patches, proj_->weight.flatten(1), proj_->bias);
}

PatchMergingImpl::PatchMergingImpl(const Config& config, int stage)
    : downsample_(config.downsample), reduction_(nullptr), norm_(nullptr) {
  const int in = downsample_norm_dim(config, stage), kernel = downsample_kernel(config);
  reduction_ = register_module(
      "reduction", torch::nn::Conv2d(torch::nn::Conv2dOptions(in, 2 * config.dim(stage), kernel)
                                         .stride(kernel == 1 ? 1 : 2)
                                         .padding(kernel / 2)
                                         .bias(false)));
  norm_ = register_module("norm", make_norm(in));
}

torch::Tensor PatchMergingImpl::forward(const torch::Tensor& input) {
  if (downsample_ == Downsample::kConv) {
    return halving_conv(normalized(input, norm_), reduction_->weight, reduction_->bias);
  }
  const auto x =
      zero_pad(input, {0, 0, 0, missing(input.size(2), 2), 0, missing(input.size(1), 2)});
  // Channels of the pixels (0,0), (1,0), (0,1), (1,1) of each 2 x 2 square (row, column).
  const int64_t n = x.size(0), h = x.size(1) / 2, w = x.size(2) / 2, c = x.size(3);
  const auto squares =
      x.reshape({n, h, 2, w, 2, c}).permute({0, 1, 3, 4, 2, 5}).reshape({n, h, w, 4 * c});
  return project(normalized(squares, norm_), reduction_);
}

StageImpl::StageImpl(const Config& config, int stage, int first_block)
    : blocks_(register_module("blocks", torch::nn::ModuleList())) {
  const int last_block = std::max(1, config.num_blocks() - 1);
  for (int i = 0; i < config.depths[stage]; ++i) {
    blocks_->push_back(Block(config, stage, config.drop_path * (first_block + i) / last_block));
  }
  if (stage + 1 < config.num_stages()) {
    downsample_ = register_module("downsample", PatchMerging(config, stage));
  }
}

torch::Tensor StageImpl::run_blocks(torch::Tensor x) {
  FeatureMap map{x, {}};
  for (const auto& block : *blocks_) {
    if (!checkpointing_) {
      map = block->as<Block>()->forward(map);
      continue;
    }
    const auto run = [block](const torch::Tensor& input) {
      return block->as<Block>()->forward({input, {}}).x;
    };
    map.x = checkpoint(run, map.x, block->parameters());
  }
  return map.x;
}

torch::Tensor StageImpl::merge(const torch::Tensor& x) { return downsample_ ? downsample_(x) : x; }

}  // namespace asmlp::nn
