#include "asmlp/model/config.h"
#include "asmlp/torch/ops/functional-inl.h"
#include "asmlp/torch/ops/functional.h"

namespace asmlp::nn {
namespace {

// One image at a time: between its two passes it is still in the cache. `statistics` is N x 2.
template <typename S>
void forward_kernel(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                    Activation activation, const torch::Tensor& y,
                    const torch::Tensor& statistics) {
  using T = Arithmetic<S>;
  const int64_t channels = x.size(3), pixels = x.size(1) * x.size(2);
  const S* in = stored<S>(x);
  const T *gamma = weight.data_ptr<T>(), *beta = bias.data_ptr<T>();
  S* out = stored<S>(y);
  T* kept = statistics.data_ptr<T>();
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

// `parts` is 2 x N x C: every image's share of d_weight and of d_bias. `d_past`, where it is
// defined, is added to dx.
template <typename S>
void backward_kernel(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                     const torch::Tensor& statistics, const torch::Tensor& dy,
                     Activation activation, const torch::Tensor& d_past, const torch::Tensor& dx,
                     const torch::Tensor& parts) {
  using T = Arithmetic<S>;
  const int64_t images = x.size(0), channels = x.size(3), pixels = x.size(1) * x.size(2);
  const S *in = stored<S>(x), *d_out = stored<S>(dy);
  const S* past = d_past.defined() ? stored<S>(d_past) : nullptr;
  const T *gamma = weight.data_ptr<T>(), *beta = bias.data_ptr<T>();
  const T* kept = statistics.data_ptr<T>();
  S* d_in = stored<S>(dx);
  T *d_gamma = parts.data_ptr<T>(), *d_beta = d_gamma + images * channels;
  at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t offset = n * pixels * channels;
      normalize_backward<S>(in + offset, d_out + offset, d_in + offset, pixels, channels,
                            Moments<T>{kept[2 * n], kept[2 * n + 1]}, gamma, beta, activation,
                            past == nullptr ? nullptr : past + offset, d_gamma + n * channels,
                            d_beta + n * channels);
    }
  });
}

torch::Tensor run_forward(const torch::Tensor& x, const torch::Tensor& weight,
                          const torch::Tensor& bias, Activation activation,
                          torch::Tensor* statistics) {
  auto y = torch::empty_like(x);
  *statistics = torch::empty({x.size(0), 2}, weight.options());
  dispatch_stored(x, [&](auto type) {
    forward_kernel<decltype(type)>(x, weight, bias, activation, y, *statistics);
  });
  return y;
}

// dx, d_weight and d_bias from the tensors saved (x, weight, bias, statistics).
torch::autograd::variable_list run_backward(const torch::autograd::variable_list& saved,
                                            const torch::Tensor& dy, const torch::Tensor& d_past,
                                            Activation activation) {
  const auto &x = saved[0], &weight = saved[1], &bias = saved[2];
  const auto dx = torch::empty_like(x);
  const auto parts = torch::empty({2, x.size(0), x.size(3)}, weight.options());
  dispatch_stored(x, [&](auto type) {
    backward_kernel<decltype(type)>(x, weight, bias, saved[3], dy, activation, d_past, dx, parts);
  });
  const auto sums = parts.sum(1);
  return {dx, sums[0], sums[1]};
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
    const auto activation = static_cast<Activation>(context->saved_data["activation"].toInt());
    auto result =
        at::GradMode::is_enabled()
            ? differentiable_gradients({eager_group_norm(saved[0], saved[1], saved[2], activation)},
                                       {saved[0], saved[1], saved[2]}, {gradients[0]})
            : run_backward(saved, gradients[0].contiguous(), {}, activation);
    result.emplace_back();
    return result;
  }
};

// Returns x too, so that the gradient that comes back past the norm is added where the norm's own
// is finished.
class ForkNormFunction : public torch::autograd::Function<ForkNormFunction> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                const torch::Tensor& x, const torch::Tensor& weight,
                                                const torch::Tensor& bias) {
    torch::Tensor statistics;
    const auto y = run_forward(x, weight, bias, Activation::kNone, &statistics);
    context->save_for_backward({x, weight, bias, statistics});
    return {x, y};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    if (at::GradMode::is_enabled()) {
      return differentiable_gradients(
          {saved[0].view(saved[0].sizes()),
           eager_group_norm(saved[0], saved[1], saved[2], Activation::kNone)},
          {saved[0], saved[1], saved[2]}, {gradients[0], gradients[1]});
    }
    return run_backward(saved, gradients[1].contiguous(), gradients[0].contiguous(),
                        Activation::kNone);
  }
};

void check(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias) {
  require(x.dim() == 4 && weight.numel() == x.size(3) && bias.numel() == x.size(3),
          ErrorCode::kInvalidArgument, "group norm: input {} does not fit {} channels",
          to_string(Shape(x.sizes().begin(), x.sizes().end())), weight.numel());
}

}  // namespace

torch::Tensor fused_group_norm(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, Activation activation) {
  check(x, weight, bias);
  if (x.numel() == 0 || !norm_fits(x, {weight, bias})) {
    return eager_group_norm(x, weight, bias, activation);
  }
  const auto rows = x.contiguous();
  if (needs_gradient({x, weight, bias})) {
    return GroupNormFunction::apply(rows, weight.contiguous(), bias.contiguous(), activation);
  }
  torch::Tensor statistics;
  return run_forward(rows, weight.contiguous(), bias.contiguous(), activation, &statistics);
}

ForkedNorm fork_group_norm(const torch::Tensor& x, const torch::Tensor& weight,
                           const torch::Tensor& bias) {
  check(x, weight, bias);
  if (x.numel() == 0 || !norm_fits(x, {weight, bias}) || !needs_gradient({x, weight, bias})) {
    return {x, fused_group_norm(x, weight, bias)};
  }
  const auto both = ForkNormFunction::apply(x.contiguous(), weight.contiguous(), bias.contiguous());
  return {both[0], both[1]};
}

torch::Tensor eager_group_norm(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, Activation activation) {
  const auto normal = torch::layer_norm(x, {x.size(1), x.size(2), x.size(3)}, {}, {}, kNormEps);
  return activate(normal * weight + bias, activation);
}

}  // namespace asmlp::nn
