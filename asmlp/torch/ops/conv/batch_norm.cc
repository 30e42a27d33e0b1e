#include "asmlp/torch/ops/conv/batch_norm.h"

#include <tuple>

#include "asmlp/torch/ops/conv/channels.h"
#include "asmlp/torch/ops/functional-inl.h"
#include "asmlp/torch/ops/row_blocks-inl.h"

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

void require_values(double count) {
  require(count > 1, ErrorCode::kInvalidArgument,
          "batch norm: {} value(s) per channel in all processes together, training needs two; "
          "take a larger batch",
          count);
}

// Whether the loops of channels.h take the map.
bool channels_fit(const torch::Tensor& x, const torch::Tensor& weight) {
  return x.numel() > 0 && kernel_fits({x, weight});
}
int64_t rows_of(const torch::Tensor& x) { return x.numel() / x.size(1); }

// The sums of 2 * channels columns that add(begin, end, sums) finds in those rows.
template <typename Add>
torch::Tensor sums_of_rows(const torch::Tensor& x, const Add& add) {
  const int64_t rows = rows_of(x), channels = x.size(1);
  const int64_t slices = slice_count(rows, std::max<int64_t>(1, (1 << 14) / channels));
  const auto sums = torch::zeros({slices, 2 * channels}, torch::kDouble);
  at::parallel_for(0, slices, 1, [&](int64_t first, int64_t last) {
    for (int64_t slice = first; slice < last; ++slice) {
      add(rows * slice / slices, rows * (slice + 1) / slices,
          sums.data_ptr<double>() + slice * 2 * channels);
    }
  });
  return slices == 1 ? sums[0] : sums.sum(0);
}

// The sums of the values and of their squares, 2 * channels in double. (From a mean and a variance
// that are exact to fp32, the squares lose nothing that fp32 has.)
torch::Tensor moment_sums(const torch::Tensor& x, const torch::Tensor& weight) {
  const int64_t channels = x.size(1);
  if (channels_fit(x, weight)) {
    return AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "moment_sums", [&] {
      return sums_of_rows(x, [&](int64_t begin, int64_t end, double* sums) {
        add_moments(x.data_ptr<scalar_t>() + begin * channels, end - begin, channels, sums);
      });
    });
  }
  if (x.numel() == 0) return torch::zeros({2 * channels}, x.options().dtype(torch::kDouble));
  auto [mean, var] = at::batch_norm_update_stats(widened(x), {}, {}, /*momentum=*/0);
  mean = mean.to(torch::kDouble);
  return torch::cat({mean, var.to(torch::kDouble) + mean * mean}) * static_cast<double>(rows_of(x));
}

BatchMoments moments_of_all(const torch::Tensor& x, const torch::Tensor& weight,
                            dist::World* world) {
  const int64_t channels = x.size(1);
  auto sums = moment_sums(x, weight);
  BatchMoments all;
  all.count = static_cast<double>(rows_of(x));
  if (world != nullptr) {
    sums = torch::cat({sums, torch::full({1}, all.count, sums.options())});
    world->all_reduce(sums);
    all.count = sums[2 * channels].item<double>();
  }
  require_values(all.count);
  const auto mean = sums.slice(0, 0, channels) / all.count;
  const auto var = (sums.slice(0, channels, 2 * channels) / all.count - mean * mean).clamp_min(0);
  all.mean = mean.to(wide_type(x));
  all.var = var.to(wide_type(x));
  return all;
}

torch::Tensor eager_batch_norm(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, const RunningMoments& running, double eps,
                               AfterSum after) {
  const auto y =
      torch::batch_norm(x, weight, bias, running.mean, running.var, /*training=*/true,
                        running.momentum, eps, torch::globalContext().userEnabledCuDNN());
  return after == AfterSum::kRelu ? torch::relu(y) : y;
}

torch::Tensor normalized(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias, const BatchMoments& moments, double eps,
                         AfterSum after) {
  const bool relu = after == AfterSum::kRelu;
  if (!channels_fit(x, weight)) {
    const auto y = torch::batch_norm(x, weight, bias, moments.mean, moments.var,
                                     /*training=*/false, 0, eps, /*cudnn_enabled=*/false);
    return relu ? torch::relu(y) : y;
  }
  const int64_t channels = x.size(1);
  const auto scale = weight * (moments.var + eps).rsqrt();
  const auto shift = bias - moments.mean * scale;
  const auto y = torch::empty_like(x);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "batch_norm", [&] {
    at::parallel_for(0, rows_of(x), (1 << 14) / channels + 1, [&](int64_t begin, int64_t end) {
      const int64_t at = begin * channels;
      scale_channels(x.data_ptr<scalar_t>() + at, end - begin, channels, scale.data_ptr<scalar_t>(),
                     shift.data_ptr<scalar_t>(), relu, y.data_ptr<scalar_t>() + at);
    });
  });
  return y;
}

// The sums of dy and of dy * (x - mean) / sigma over the values of this process, dy behind ReLU.
// y is undefined without ReLU.
torch::Tensor gradient_sums(const torch::Tensor& x, const torch::Tensor& y, const torch::Tensor& dy,
                            const torch::Tensor& weight, const torch::Tensor& mean,
                            const torch::Tensor& inverse) {
  const int64_t channels = x.size(1);
  if (channels_fit(x, weight)) {
    const auto sums = AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "batch_norm_sums", [&] {
      return sums_of_rows(x, [&](int64_t begin, int64_t end, double* into) {
        const int64_t at = begin * channels;
        add_gradient_sums(
            x.data_ptr<scalar_t>() + at, y.defined() ? y.data_ptr<scalar_t>() + at : nullptr,
            dy.data_ptr<scalar_t>() + at, end - begin, channels, mean.data_ptr<scalar_t>(), into);
      });
    });
    sums.slice(0, channels, 2 * channels).mul_(inverse.to(torch::kDouble));
    return sums;
  }
  const auto values = widened(dy);
  const auto z = (widened(x) - per_channel(mean)).mul_(per_channel(inverse));
  return torch::cat({values.sum({0, 2, 3}), (values * z).sum({0, 2, 3})}).to(torch::kDouble);
}

// A World that outlives the graph.
struct WorldRef : torch::CustomClassHolder {
  explicit WorldRef(dist::World* to) : world(to) {}
  dist::World* world;
};

class BatchNormFunction : public torch::autograd::Function<BatchNormFunction> {
 public:
  static torch::Tensor forward(AutogradContext* ctx, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               const BatchMoments& moments, double eps, AfterSum after,
                               dist::World* world) {
    const auto y = normalized(x, weight, bias, moments, eps, after);
    ctx->save_for_backward({x, weight, bias, moments.mean, (moments.var + eps).rsqrt(),
                            after == AfterSum::kRelu ? y : torch::Tensor()});
    ctx->saved_data["count"] = moments.count;
    ctx->saved_data["eps"] = eps;
    ctx->saved_data["world"] = c10::IValue::make_capsule(c10::make_intrusive<WorldRef>(world));
    return y;
  }

  // With z = (x - mean) / sigma and means over all values of all processes:
  //   dx = weight / sigma * (dy - mean(dy) - z * mean(dy * z)).
  static variable_list backward(AutogradContext* ctx, const variable_list& d_outputs) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &bias = saved[2], &mean = saved[3],
               &inverse = saved[4], &y = saved[5];
    auto* world =
        c10::static_intrusive_pointer_cast<WorldRef>(ctx->saved_data["world"].toCapsule())->world;
    if (at::GradMode::is_enabled()) {
      require(world == nullptr, ErrorCode::kUnsupported,
              "gradients of gradients do not go through the batch norm of several processes: "
              "compute them in one process");
      const auto again = eager_batch_norm(x, weight, bias, {}, ctx->saved_data["eps"].toDouble(),
                                          y.defined() ? AfterSum::kRelu : AfterSum::kNothing);
      auto result = differentiable_gradients({again}, {x, weight, bias}, {d_outputs[0]});
      result.resize(7);
      return result;
    }
    const bool fits = channels_fit(x, weight);
    auto dy = d_outputs[0];
    if (fits) {
      dy = dy.contiguous(at::MemoryFormat::ChannelsLast);
    } else if (y.defined()) {
      dy = dy * (y > 0);
    }
    const int64_t channels = x.size(1);
    auto sums = gradient_sums(x, y, dy, weight, mean, inverse);
    const auto own = sums.to(weight.scalar_type());
    if (world != nullptr) world->all_reduce(sums = sums.clone());
    const auto means = (sums / ctx->saved_data["count"].toDouble()).to(mean.scalar_type());
    const auto mean_dy = means.slice(0, 0, channels), mean_dy_z = means.slice(0, channels);
    const auto of_dy = weight.to(mean.scalar_type()) * inverse;
    const auto of_x = -of_dy * inverse * mean_dy_z, constant = -of_dy * mean_dy;
    torch::Tensor dx;
    if (fits) {
      dx = torch::empty_like(x);
      AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "batch_norm_backward", [&] {
        at::parallel_for(0, rows_of(x), (1 << 14) / channels + 1, [&](int64_t begin, int64_t end) {
          const int64_t at = begin * channels;
          combine_gradients(
              x.data_ptr<scalar_t>() + at, y.defined() ? y.data_ptr<scalar_t>() + at : nullptr,
              dy.data_ptr<scalar_t>() + at, end - begin, channels, mean.data_ptr<scalar_t>(),
              of_dy.data_ptr<scalar_t>(), of_x.data_ptr<scalar_t>(), constant.data_ptr<scalar_t>(),
              dx.data_ptr<scalar_t>() + at);
        });
      });
    } else {
      dx = (widened(x) - per_channel(mean))
               .mul_(per_channel(of_x))
               .add_(widened(dy) * per_channel(of_dy))
               .add_(per_channel(constant))
               .to(x.scalar_type());
    }
    return {dx, own.slice(0, channels), own.slice(0, 0, channels), {}, {}, {}, {}};
  }
};

}  // namespace

torch::Tensor fused_batch_norm(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, const RunningMoments& running, double eps,
                               AfterSum after, dist::World* world) {
  const bool fits = channels_fit(x, weight);
  if (!fits && world == nullptr) {
    require_values(static_cast<double>(rows_of(x)));
    return eager_batch_norm(x, weight, bias, running, eps, after);
  }
  const auto map = fits ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
  BatchMoments moments;
  {
    const torch::NoGradGuard no_grad;
    moments = moments_of_all(map, weight, world);
    const auto unbiased = moments.var * (moments.count / (moments.count - 1));
    running.mean.lerp_(moments.mean.to(running.mean.scalar_type()), running.momentum);
    running.var.lerp_(unbiased.to(running.var.scalar_type()), running.momentum);
  }
  if (!needs_gradient({x, weight, bias})) {
    return normalized(map, weight, bias, moments, eps, after);
  }
  return BatchNormFunction::apply(map, weight, bias, moments, eps, after, world);
}

}  // namespace asmlp::nn
