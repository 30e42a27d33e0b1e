#include "asmlp/torch/nn/blocks.h"

#include "asmlp/torch/nn/checkpoint.h"
#include "asmlp/torch/ops/axial_shift.h"
#include "asmlp/torch/ops/functional.h"

namespace asmlp::nn {
namespace {

Projection projection(const torch::nn::Conv2d& conv) { return {conv->weight, conv->bias}; }

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

torch::Tensor AxialShiftBlockImpl::forward(torch::Tensor x) {
  const AxialShift along_w{Axis::kWidth, config_.shift_size.w, config_.dilation, config_.padding};
  const AxialShift along_h{Axis::kHeight, config_.shift_size.h, config_.dilation, config_.padding};
  x = normalized(project(x, conv1_), norm1_, Activation::kGelu);
  if (config_.connection == Connection::kParallel) {
    x = fused_shifted_sum(x, {along_w, projection(conv2_1_)}, {along_h, projection(conv2_2_)});
  } else {
    x = project(axial_shift(x, along_w), conv2_1_, Activation::kGelu);
    x = project(axial_shift(x, along_h), conv2_2_, Activation::kGelu);
  }
  return project(normalized(x, norm2_), conv3_);
}

MlpImpl::MlpImpl(int dim, int hidden)
    : fc1_(register_module("fc1", make_pointwise(dim, hidden))),
      fc2_(register_module("fc2", make_pointwise(hidden, dim))) {}

torch::Tensor MlpImpl::forward(const torch::Tensor& x) {
  return fused_mlp(x, projection(fc1_), projection(fc2_));
}

BlockImpl::BlockImpl(const Config& config, int stage, double drop_path)
    : drop_path_(drop_path),
      norm1_(register_module("norm1", make_norm(config.dim(stage)))),
      axial_shift_(register_module("axial_shift", AxialShiftBlock(config, config.dim(stage)))),
      norm2_(register_module("norm2", make_norm(config.dim(stage)))),
      mlp_(register_module("mlp", Mlp(config.dim(stage), config.hidden_dim(stage)))) {}

torch::Tensor BlockImpl::forward(torch::Tensor x) {
  const auto add = [&](const torch::Tensor& past, const torch::Tensor& branch) {
    return fused_add(past, branch, drop_path_scale(past, drop_path_, is_training()));
  };
  auto fork = fork_group_norm(x, norm1_->weight, norm1_->bias);
  x = add(fork.x, axial_shift_(fork.normal));
  fork = fork_group_norm(x, norm2_->weight, norm2_->bias);
  return add(fork.x, mlp_(fork.normal));
}

PatchEmbedImpl::PatchEmbedImpl(const Config& config)
    : patch_size_(config.patch_size),
      proj_(register_module(
          "proj", torch::nn::Conv2d(
                      torch::nn::Conv2dOptions(config.in_chans, config.embed_dim, config.patch_size)
                          .stride(config.patch_size)))) {
  if (config.patch_norm) norm_ = register_module("norm", make_norm(config.embed_dim));
}

torch::Tensor PatchEmbedImpl::forward(const torch::Tensor& image) {
  const int64_t p = patch_size_;
  const auto padded =
      torch::constant_pad_nd(image, {0, missing(image.size(3), p), 0, missing(image.size(2), p)});
  // A convolution whose patches do not overlap is a projection of the patches.
  const int64_t n = image.size(0), h = padded.size(2) / p, w = padded.size(3) / p;
  const auto patches = padded.reshape({n, -1, h, p, w, p})
                           .permute({0, 2, 4, 1, 3, 5})
                           .reshape({n, h, w, image.size(1) * p * p});
  const auto x = fused_linear(patches, proj_->weight.flatten(1), proj_->bias);
  return norm_ ? normalized(x, norm_) : x;
}

PatchMergingImpl::PatchMergingImpl(int dim)
    : reduction_(register_module("reduction", make_pointwise(4 * dim, 2 * dim, /*bias=*/false))),
      norm_(register_module("norm", make_norm(4 * dim))) {}

torch::Tensor PatchMergingImpl::forward(const torch::Tensor& input) {
  const auto x = torch::constant_pad_nd(
      input, {0, 0, 0, missing(input.size(2), 2), 0, missing(input.size(1), 2)});
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
    downsample_ = register_module("downsample", PatchMerging(config.dim(stage)));
  }
}

torch::Tensor StageImpl::run_blocks(torch::Tensor x) {
  for (const auto& block : *blocks_) {
    const auto run = [block](const torch::Tensor& input) {
      return block->as<Block>()->forward(input);
    };
    x = checkpointing_ ? checkpoint(run, x, block->parameters()) : run(x);
  }
  return x;
}

torch::Tensor StageImpl::merge(const torch::Tensor& x) { return downsample_ ? downsample_(x) : x; }

}  // namespace asmlp::nn
