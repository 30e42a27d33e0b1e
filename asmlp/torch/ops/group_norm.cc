#include "asmlp/torch/ops/functional-inl.h"
#include "asmlp/torch/ops/functional.h"
#include "asmlp/torch/ops/image_norm-inl.h"
#include "asmlp/torch/ops/op_clock.h"

namespace asmlp::nn {
namespace {

template <typename S>
void forward_kernel(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                    Activation activation, const torch::Tensor& y, const torch::Tensor& moments) {
  using T = Arithmetic<S>;
  const int64_t channels = x.size(3);
  const Segments segments(x.size(0), x.size(1) * x.size(2));
  const NormParameters<T> norm{weight.data_ptr<T>(), bias.data_ptr<T>()};
  parallel_segments(
      segments, block_rows(2 * channels, 64), Schedule::kDynamic, [&](const RowBlock& block) {
        for_segments(segments, block, [&](int64_t image, int64_t begin, int64_t rows, int64_t) {
          normalize(stored<S>(x) + begin * channels, stored<S>(y) + begin * channels, rows,
                    channels, moments_in<T>(moments)[image], norm, activation);
        });
      });
}

// dx, plus `d_past` where that is defined; `sums` receives the gradients of weight and bias.
template <typename S>
void backward_kernel(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                     const torch::Tensor& moments, const torch::Tensor& dy, Activation activation,
                     const torch::Tensor& d_past, const torch::Tensor& dx,
                     const ThreadSums<Arithmetic<S>>& total) {
  using T = Arithmetic<S>;
  const int64_t channels = x.size(3), pixels = x.size(1) * x.size(2);
  const NormParameters<T> parameters{weight.data_ptr<T>(), bias.data_ptr<T>()};
  for_image_groups(x.size(0), pixels, Schedule::kStatic, [&](int64_t first, int64_t last) {
    const Segments segments(last - first, pixels);
    const int64_t offset = first * pixels * channels;
    const S *in = stored<S>(x) + offset, *d_out = stored<S>(dy) + offset;
    const S* past = d_past.defined() ? stored<S>(d_past) + offset : nullptr;
    S* const d_in = stored<S>(dx) + offset;  // holds du until the sums are complete
    Scratch scratch;
    NormBackward<T> norm(scratch, segments, channels);
    const auto passes = [&](const auto& body) {
      parallel_segments(segments, block_rows(3 * channels, 64), Schedule::kDynamic,
                        [&](const RowBlock& block) { for_segments(segments, block, body); });
    };
    passes([&](int64_t image, int64_t begin, int64_t rows, int64_t segment) {
      Scratch rows_scratch;
      const T* d = product_input<T>(rows_scratch, d_out + begin * channels, rows * channels);
      norm_sums(in + begin * channels, d, d_in + begin * channels, rows, channels,
                moments_in<T>(moments)[first + image], parameters, activation,
                norm.segment(segment));
    });
    norm.finish(parameters.gamma, total.data());
    passes([&](int64_t image, int64_t begin, int64_t rows, int64_t) {
      const int64_t at = begin * channels;
      norm_gradient<S, S>(in + at, d_in + at, past == nullptr ? nullptr : past + at, d_in + at,
                          rows, channels, moments_in<T>(moments)[first + image], parameters.gamma,
                          norm.means(image));
    });
  });
}

// `moments` (N x 2) are computed here.
torch::Tensor run_forward(const torch::Tensor& x, const torch::Tensor& weight,
                          const torch::Tensor& bias, Activation activation,
                          torch::Tensor* moments) {
  const OpClock clock("norm", /*backward=*/false, x.size(3), 0, 3 * x.numel() * x.element_size());
  auto y = torch::empty_like(x);
  dispatch_stored(x, [&](auto type) {
    using S = decltype(type);
    *moments = moments_of<S>(x, weight.options());
    forward_kernel<S>(x, weight, bias, activation, y, *moments);
  });
  return y;
}

// dx, d_weight and d_bias from the tensors saved (x, weight, bias, moments).
torch::autograd::variable_list run_backward(const torch::autograd::variable_list& saved,
                                            const torch::Tensor& dy, const torch::Tensor& d_past,
                                            Activation activation) {
  const auto &x = saved[0], &weight = saved[1], &bias = saved[2];
  const OpClock clock("norm", /*backward=*/true, x.size(3), 0,
                      (d_past.defined() ? 4 : 3) * x.numel() * x.element_size());
  const auto dx = torch::empty_like(x);
  torch::Tensor sums;
  dispatch_stored(x, [&](auto type) {
    using S = decltype(type);
    const ThreadSums<Arithmetic<S>> total(2 * x.size(3), weight.options());
    backward_kernel<S>(x, weight, bias, saved[3], dy, activation, d_past, dx, total);
    sums = total.total();
  });
  return {dx, sums.slice(0, 0, x.size(3)), sums.slice(0, x.size(3))};
}

class GroupNormFunction : public torch::autograd::Function<GroupNormFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               Activation activation) {
    torch::Tensor moments;
    const auto y = run_forward(x, weight, bias, activation, &moments);
    context->save_for_backward({x, weight, bias, moments});
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
    torch::Tensor moments;
    const auto y = run_forward(x, weight, bias, Activation::kNone, &moments);
    context->save_for_backward({x, weight, bias, moments});
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
  torch::Tensor moments;
  return run_forward(rows, weight.contiguous(), bias.contiguous(), activation, &moments);
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
