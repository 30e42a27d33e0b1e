#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"
#include "asmlp/model/config.h"
#include "asmlp/torch/nn/functional-inl.h"
#include "asmlp/torch/nn/functional.h"

namespace asmlp::nn {
namespace {

// One image at a time: between its two passes it is still in the cache. `statistics` is N x 2.
template <typename T>
void forward_kernel(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                    Activation activation, const torch::Tensor& y,
                    const torch::Tensor& statistics) {
  const int64_t channels = x.size(3), pixels = x.size(1) * x.size(2);
  const T *in = x.data_ptr<T>(), *gamma = weight.data_ptr<T>(), *beta = bias.data_ptr<T>();
  T *out = y.data_ptr<T>(), *kept = statistics.data_ptr<T>();
  at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t offset = n * pixels * channels;
      const auto m = moments(in + offset, pixels * channels, kNormEps);
      normalize(in + offset, out + offset, pixels, channels, m, gamma, beta, activation);
      kept[2 * n] = m.mean;
      kept[2 * n + 1] = m.scale;
    }
  });
}

// `parts` is 2 x N x C: every image's share of d_weight and of d_bias.
template <typename T>
void backward_kernel(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                     const torch::Tensor& statistics, const torch::Tensor& dy,
                     Activation activation, const torch::Tensor& dx, const torch::Tensor& parts) {
  const int64_t images = x.size(0), channels = x.size(3), pixels = x.size(1) * x.size(2);
  const T *in = x.data_ptr<T>(), *gamma = weight.data_ptr<T>(), *beta = bias.data_ptr<T>();
  const T *kept = statistics.data_ptr<T>(), *d_out = dy.data_ptr<T>();
  T *d_in = dx.data_ptr<T>(), *d_gamma = parts.data_ptr<T>(), *d_beta = d_gamma + images * channels;
  at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t offset = n * pixels * channels;
      normalize_backward(in + offset, d_out + offset, d_in + offset, pixels, channels,
                         Moments<T>{kept[2 * n], kept[2 * n + 1]}, gamma, beta, activation,
                         d_gamma + n * channels, d_beta + n * channels);
    }
  });
}

torch::Tensor run_forward(const torch::Tensor& x, const torch::Tensor& weight,
                          const torch::Tensor& bias, Activation activation,
                          torch::Tensor* statistics) {
  auto y = torch::empty_like(x);
  *statistics = torch::empty({x.size(0), 2}, x.options());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "group_norm", [&] {
    forward_kernel<scalar_t>(x, weight, bias, activation, y, *statistics);
  });
  return y;
}

class GroupNormFunction : public torch::autograd::Function<GroupNormFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               Activation activation) {
    torch::Tensor statistics;
    const auto y = run_forward(x, weight, bias, activation, &statistics);
    context->save_for_backward({x, weight, bias, statistics});
    context->saved_data["activation"] = static_cast<int64_t>(activation);
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &bias = saved[2];
    const auto activation = static_cast<Activation>(context->saved_data["activation"].toInt());
    if (at::GradMode::is_enabled()) {
      auto result = differentiable_gradients(composed_group_norm(x, weight, bias, activation),
                                             {x, weight, bias}, gradients[0]);
      result.emplace_back();
      return result;
    }
    const auto dy = gradients[0].contiguous();
    const auto dx = torch::empty_like(x);
    const auto parts = torch::empty({2, x.size(0), x.size(3)}, x.options());
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "group_norm_backward", [&] {
      backward_kernel<scalar_t>(x, weight, bias, saved[3], dy, activation, dx, parts);
    });
    const auto sums = parts.sum(1);
    return {dx, sums[0], sums[1], {}};
  }
};

}  // namespace

torch::Tensor fused_group_norm(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, Activation activation) {
  require(x.dim() == 4 && weight.numel() == x.size(3) && bias.numel() == x.size(3),
          ErrorCode::kInvalidArgument, "group norm: input {} does not fit {} channels",
          to_string(Shape(x.sizes().begin(), x.sizes().end())), weight.numel());
  if (x.numel() == 0 || !kernel_fits({x, weight, bias})) {
    return composed_group_norm(x, weight, bias, activation);
  }
  const auto dense = x.contiguous();
  if (needs_gradient({x, weight, bias})) {
    return GroupNormFunction::apply(dense, weight.contiguous(), bias.contiguous(), activation);
  }
  torch::Tensor statistics;
  return run_forward(dense, weight.contiguous(), bias.contiguous(), activation, &statistics);
}

torch::Tensor composed_group_norm(const torch::Tensor& x, const torch::Tensor& weight,
                                  const torch::Tensor& bias, Activation activation) {
  const auto normal = torch::layer_norm(x, {x.size(1), x.size(2), x.size(3)}, {}, {}, kNormEps);
  return activate(normal * weight + bias, activation);
}

}  // namespace asmlp::nn
