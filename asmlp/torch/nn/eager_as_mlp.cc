#include "asmlp/torch/nn/eager_as_mlp.h"

#include <algorithm>
#include <vector>

#include "asmlp/torch/ops/autocast.h"

namespace asmlp::nn {
namespace {

// `mode` of torch::nn::functional::pad, without its parsing of options.
torch::Tensor pad(const torch::Tensor& x, Padding padding, int64_t h, int64_t w) {
  const std::vector<int64_t> sides{w, w, h, h};
  switch (padding) {
    case Padding::kZero:
      return at::constant_pad_nd(x, sides);
    case Padding::kReflect:
      return at::reflection_pad2d(x, sides);
    case Padding::kReplicate:
      return at::replication_pad2d(x, sides);
    case Padding::kCircular:
      return torch::nn::functional::pad(
          x, torch::nn::functional::PadFuncOptions(sides).mode(torch::kCircular));
  }
  return {};
}

// Zero rows below and columns to the right that complete a multiple of `unit`.
torch::Tensor completed(const torch::Tensor& x, int64_t unit) {
  const int64_t below = (unit - x.size(2) % unit) % unit, right = (unit - x.size(3) % unit) % unit;
  return below + right == 0 ? x : at::constant_pad_nd(x, {0, right, 0, below});
}

}  // namespace

EagerAsMlp::EagerAsMlp(const AsMlp& model) : config_(model->config()), model_(model.ptr()) {
  for (const auto& item : model_->named_parameters()) parameters_[item.key()] = item.value();
}

EagerAsMlp::EagerAsMlp(const Backbone& backbone)
    : config_(backbone->config()), model_(backbone.ptr()) {
  for (const auto& item : model_->named_parameters()) parameters_[item.key()] = item.value();
}

const torch::Tensor& EagerAsMlp::parameter(const std::string& name) const {
  static const torch::Tensor kNone;
  const auto found = parameters_.find(name);
  return found == parameters_.end() ? kNone : found->second;
}

torch::Tensor EagerAsMlp::convolution(const torch::Tensor& x, const std::string& name,
                                      int64_t stride, int64_t padding) const {
  return at::conv2d(x, parameter(name + ".weight"), parameter(name + ".bias"), stride, padding);
}

// In fp32 under autocast too, which at::group_norm does not see to by itself.
torch::Tensor EagerAsMlp::norm(const torch::Tensor& x, const std::string& name) const {
  const auto in = bf16_autocast() ? x.to(torch::kFloat) : x;
  return at::group_norm(in, 1, parameter(name + ".weight"), parameter(name + ".bias"), kNormEps);
}

// Pads both axes, rolls each chunk of the channels and cuts the map out of the middle.
torch::Tensor EagerAsMlp::shift(const torch::Tensor& x, int64_t axis, int positions) const {
  const int64_t border = int64_t{positions / 2} * config_.dilation;
  const auto padded = pad(x, config_.padding, border, border);
  std::vector<torch::Tensor> rolled;
  int64_t displacement = -border;
  for (const torch::Tensor& chunk : padded.chunk(positions, 1)) {
    rolled.push_back(at::roll(chunk, displacement, axis));
    displacement += config_.dilation;
  }
  return at::cat(rolled, 1).narrow(2, border, x.size(2)).narrow(3, border, x.size(3));
}

torch::Tensor EagerAsMlp::axial_shift(torch::Tensor x, const std::string& name) const {
  x = at::gelu(norm(convolution(x, name + ".conv1"), name + ".norm1"));
  const auto horizontal =
      at::gelu(convolution(shift(x, 3, config_.shift_size.w), name + ".conv2_1"));
  const bool parallel = config_.connection == Connection::kParallel;
  const auto vertical = at::gelu(
      convolution(shift(parallel ? x : horizontal, 2, config_.shift_size.h), name + ".conv2_2"));
  x = parallel ? horizontal + vertical : vertical;
  return convolution(norm(x, name + ".norm2"), name + ".conv3");
}

torch::Tensor EagerAsMlp::block(torch::Tensor x, const std::string& name, double rate) const {
  const bool training = model_->is_training();
  x = x + drop_path(axial_shift(norm(x, name + ".norm1"), name + ".axial_shift"), rate, training);
  const auto hidden = at::gelu(convolution(norm(x, name + ".norm2"), name + ".mlp.fc1"));
  return x + drop_path(convolution(hidden, name + ".mlp.fc2"), rate, training);
}

torch::Tensor EagerAsMlp::stem(torch::Tensor x) const {
  if (config_.stem == Stem::kPatch) {
    return convolution(completed(x, config_.patch_size), "patch_embed.proj", config_.patch_size);
  }
  for (int i = 0; i < config_.stem_convs(); ++i) {
    const std::string step = "patch_embed.stem." + std::to_string(i);
    x = at::gelu(norm(convolution(x, step + ".conv", 2, 1), step + ".norm"));
  }
  return convolution(x, "patch_embed.proj", 2, 1);
}

torch::Tensor EagerAsMlp::merging(torch::Tensor x, const std::string& name) const {
  if (config_.downsample == Downsample::kConv) {
    return convolution(norm(x, name + ".norm"), name + ".reduction", 2, 1);
  }
  x = completed(x, 2);
  const auto every_second = [&](int64_t row, int64_t column) {
    return x.slice(2, row, c10::nullopt, 2).slice(3, column, c10::nullopt, 2);
  };
  x = at::cat({every_second(0, 0), every_second(1, 0), every_second(0, 1), every_second(1, 1)}, 1);
  return convolution(norm(x, name + ".norm"), name + ".reduction");
}

torch::Tensor EagerAsMlp::run_stages(
    const torch::Tensor& images, const std::function<void(int, const torch::Tensor&)>& seen) const {
  auto x = stem(images);
  if (config_.patch_norm) x = norm(x, "patch_embed.norm");
  int index = 0;
  const int last = std::max(1, config_.num_blocks() - 1);
  for (int stage = 0; stage < config_.num_stages(); ++stage) {
    const std::string layer = "layers." + std::to_string(stage);
    for (int i = 0; i < config_.depths[stage]; ++i, ++index) {
      x = block(x, layer + ".blocks." + std::to_string(i), config_.drop_path * index / last);
    }
    seen(stage, x);
    if (stage + 1 < config_.num_stages()) x = merging(x, layer + ".downsample");
  }
  return x;
}

torch::Tensor EagerAsMlp::forward(const torch::Tensor& images) const {
  const auto last = run_stages(images, [](int, const torch::Tensor&) {});
  const auto x = at::adaptive_avg_pool2d(norm(last, "norm"), {1, 1}).flatten(1);
  return config_.num_classes > 0 ? at::linear(x, parameter("head.weight"), parameter("head.bias"))
                                 : x;
}

std::vector<torch::Tensor> EagerAsMlp::maps(const torch::Tensor& images) const {
  std::vector<torch::Tensor> maps;
  run_stages(images, [&](int stage, const torch::Tensor& x) {
    maps.push_back(norm(x, "norm" + std::to_string(stage)));
  });
  return maps;
}

}  // namespace asmlp::nn
