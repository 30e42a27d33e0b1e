#include "asmlp/torch/nn/sync_batch_norm.h"

#include <tuple>

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"

namespace asmlp::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Statistics of narrower types than fp32 are computed in fp32.
torch::ScalarType wide_type(const torch::Tensor& x) {
  return x.scalar_type() == torch::kDouble ? torch::kDouble : torch::kFloat;
}
torch::Tensor widened(const torch::Tensor& x) { return x.to(wide_type(x)); }

torch::Tensor per_channel(const torch::Tensor& values) { return values.view({1, -1, 1, 1}); }

struct BatchMoments {
  torch::Tensor mean, var;  // per channel, biased variance
  double count = 0;         // values per channel
};

// Each process gives count, sum and sum of squares. They are put together in double: from a mean
// and a variance that are exact to fp32, the squares lose nothing that fp32 has.
BatchMoments moments_of_all(const torch::Tensor& x, dist::World& world) {
  const int64_t channels = x.size(1), count = x.numel() / channels;
  auto sums = torch::zeros({2 * channels + 1}, x.options().dtype(torch::kDouble));
  if (count > 0) {
    auto [mean, var] = at::batch_norm_update_stats(widened(x), {}, {}, /*momentum=*/0);
    mean = mean.to(torch::kDouble);
    sums.slice(0, 0, channels).copy_(mean * count);
    sums.slice(0, channels, 2 * channels).copy_((var.to(torch::kDouble) + mean * mean) * count);
    sums[2 * channels] = count;
  }
  world.all_reduce(sums);
  BatchMoments all;
  all.count = sums[2 * channels].item<double>();
  if (all.count < 1) return all;
  const auto mean = sums.slice(0, 0, channels) / all.count;
  const auto var = (sums.slice(0, channels, 2 * channels) / all.count - mean * mean).clamp_min(0);
  all.mean = mean.to(wide_type(x));
  all.var = var.to(wide_type(x));
  return all;
}

// A World that outlives the graph.
struct WorldRef : torch::CustomClassHolder {
  explicit WorldRef(dist::World* to) : world(to) {}
  dist::World* world;
};

class SyncBatchNormFunction : public torch::autograd::Function<SyncBatchNormFunction> {
 public:
  static torch::Tensor forward(AutogradContext* ctx, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               const BatchMoments& moments, dist::World* world) {
    ctx->save_for_backward({x, weight, moments.mean, moments.var});
    ctx->saved_data["count"] = moments.count;
    ctx->saved_data["world"] = c10::IValue::make_capsule(c10::make_intrusive<WorldRef>(world));
    return torch::batch_norm(x, weight, bias, moments.mean, moments.var, /*training=*/false, 0,
                             SyncBatchNorm2dImpl::kEps, /*cudnn_enabled=*/false);
  }

  // With z = (x - mean) / sigma and means over all values of all processes:
  //   dx = weight / sigma * (dy - mean(dy) - z * mean(dy * z)).
  static variable_list backward(AutogradContext* ctx, const variable_list& d_outputs) {
    require(!at::GradMode::is_enabled(), ErrorCode::kUnsupported,
            "gradients of gradients do not go through the batch norm of several processes: "
            "compute them in one process");
    const auto saved = ctx->get_saved_variables();
    const auto& weight = saved[1];
    const double count = ctx->saved_data["count"].toDouble();
    auto* world =
        c10::static_intrusive_pointer_cast<WorldRef>(ctx->saved_data["world"].toCapsule())->world;
    const auto x = widened(saved[0]), dy = widened(d_outputs[0]);
    const auto type = dy.scalar_type();
    const auto slopes = weight.to(type), mean = saved[2], var = saved[3];
    const auto inverse = (var + SyncBatchNorm2dImpl::kEps).rsqrt();
    // The sums of dy and dy * z over the values of this process (LibTorch divides by their number).
    auto d_weight = torch::zeros_like(slopes), d_bias = torch::zeros_like(slopes);
    if (x.numel() > 0) {
      std::tie(std::ignore, d_weight, d_bias) =
          at::native_batch_norm_backward(dy, x, slopes, mean, var, {}, {}, /*train=*/false,
                                         SyncBatchNorm2dImpl::kEps, {false, true, true});
    }
    auto sums = torch::stack({d_bias, d_weight}).to(torch::kDouble);
    world->all_reduce(sums);
    const auto means = (sums / count).to(type);
    const auto dx = (x - per_channel(mean))
                        .mul_(per_channel(-means[1] * inverse))
                        .add_(dy)
                        .sub_(per_channel(means[0]))
                        .mul_(per_channel(slopes * inverse));
    return {dx.to(saved[0].scalar_type()),
            d_weight.to(weight.scalar_type()),
            d_bias.to(weight.scalar_type()),
            {},
            {}};
  }
};

void require_values(double count) {
  require(count > 1, ErrorCode::kInvalidArgument,
          "batch norm: {} value(s) per channel in all processes together, training needs two; "
          "take a larger batch",
          count);
}

}  // namespace

SyncBatchNorm2dImpl::SyncBatchNorm2dImpl(int channels)
    : weight(register_parameter("weight", torch::ones({channels}))),
      bias(register_parameter("bias", torch::zeros({channels}))),
      running_mean(register_buffer("running_mean", torch::zeros({channels}))),
      running_var(register_buffer("running_var", torch::ones({channels}))),
      num_batches_tracked(register_buffer("num_batches_tracked", torch::zeros({}, torch::kInt64))) {
}

torch::Tensor SyncBatchNorm2dImpl::forward(const torch::Tensor& x) {
  require(x.dim() == 4 && x.size(1) == weight.size(0), ErrorCode::kInvalidArgument,
          "batch norm: input {} does not fit {} channels",
          to_string(Shape(x.sizes().begin(), x.sizes().end())), weight.size(0));
  const bool several = world_ != nullptr && world_->size() > 1;
  if (!is_training() || !several) {
    if (is_training()) {
      require_values(static_cast<double>(x.numel() / x.size(1)));
      num_batches_tracked.add_(1);
    }
    return torch::batch_norm(x, weight, bias, running_mean, running_var, is_training(), kMomentum,
                             kEps, torch::globalContext().userEnabledCuDNN());
  }
  BatchMoments moments;
  {
    const torch::NoGradGuard no_grad;
    moments = moments_of_all(x, *world_);
    require_values(moments.count);
    running_mean.lerp_(moments.mean.to(running_mean.scalar_type()), kMomentum);
    const auto unbiased = moments.var * (moments.count / (moments.count - 1));
    running_var.lerp_(unbiased.to(running_var.scalar_type()), kMomentum);
    num_batches_tracked.add_(1);
  }
  return SyncBatchNormFunction::apply(x, weight, bias, moments, world_);
}

void set_world(torch::nn::Module& net, dist::World* world) {
  for (const auto& module : net.modules()) {
    if (auto* norm = module->as<SyncBatchNorm2d>()) norm->set_world(world);
  }
}

}  // namespace asmlp::nn
