#include "asmlp/torch/ops/functional-inl.h"
#include "asmlp/torch/ops/functional.h"
#include "asmlp/torch/ops/row_blocks-inl.h"

namespace asmlp::nn {
namespace {

struct MlpExtents {
  int64_t rows, in, hidden, out;
};

MlpExtents extents_of(const torch::Tensor& x, const torch::Tensor& first,
                      const torch::Tensor& second) {
  return {x.numel() / x.size(-1), x.size(-1), first.size(0), second.size(0)};
}

// `z`, when not null, keeps what the GELU is applied to.
template <typename T>
void forward_kernel(const MlpExtents& e, const T* x, const T* weight1, const T* bias1,
                    const T* weight2, const T* bias2, T* z, T* y) {
  PackedWeights<T> first(weight1, e.in, e.hidden, /*transposed=*/true);
  PackedWeights<T> second(weight2, e.hidden, e.out, /*transposed=*/true);
  pack(first);
  pack(second);
  const int64_t block = block_rows(e.in + 2 * e.hidden + e.out, 112);
  at::parallel_for(0, e.rows, block, [&](int64_t begin, int64_t end) {
    const auto buffer = std::make_unique_for_overwrite<T[]>(block * e.hidden);
    for_blocks(begin, end, block, [&](int64_t row, int64_t stop) {
      const int64_t rows = stop - row;
      T* sums = z == nullptr ? buffer.get() : z + row * e.hidden;
      first.multiply(x + row * e.in, e.in, rows, bias1, sums);
      gelu(sums, buffer.get(), rows * e.hidden);
      second.multiply(buffer.get(), e.hidden, rows, bias2, y + row * e.out);
    });
  });
}

template <typename T>
void backward_kernel(const MlpExtents& e, int64_t slices, const T* x, const T* weight1,
                     const T* weight2, const T* z, const T* dy, T* dx,
                     const ProjectionGradient& gradient1, const ProjectionGradient& gradient2) {
  PackedWeights<T> first(weight1, e.hidden, e.in, /*transposed=*/false);
  PackedWeights<T> second(weight2, e.out, e.hidden, /*transposed=*/false);
  if (dx != nullptr) pack(first);
  pack(second);
  const int64_t block = block_rows(e.in + 3 * e.hidden + e.out, 168);
  at::parallel_for(0, slices, 1, [&](int64_t from, int64_t to) {
    const auto hidden = std::make_unique_for_overwrite<T[]>(block * e.hidden);
    const auto dz = std::make_unique_for_overwrite<T[]>(block * e.hidden);
    std::vector<T> scratch;
    for (int64_t slice = from; slice < to; ++slice) {
      const int64_t begin = e.rows * slice / slices, end = e.rows * (slice + 1) / slices;
      for_blocks(begin, end, block, [&](int64_t row, int64_t stop) {
        const int64_t rows = stop - row;
        const T *d_out = dy + row * e.out, *in = x + row * e.in;
        second.multiply(d_out, e.out, rows, nullptr, dz.get());
        gelu_backward(z + row * e.hidden, dz.get(), dz.get(), hidden.get(), rows, e.hidden,
                      gradient1.bias<T>(slice));
        add_columns(d_out, rows, e.out, gradient2.bias<T>(slice));
        gradient2.add(slice, row == begin, d_out, hidden.get(), rows, scratch);
        gradient1.add(slice, row == begin, dz.get(), in, rows, scratch);
        if (dx != nullptr) first.multiply(dz.get(), e.hidden, rows, nullptr, dx + row * e.in);
      });
    }
  });
}

torch::Tensor run_forward(const torch::Tensor& x, const Projection& first, const Projection& second,
                          torch::Tensor* z) {
  const SerialBlas serial;
  const MlpExtents e = extents_of(x, first.weight, second.weight);
  auto shape = x.sizes().vec();
  shape.back() = e.out;
  auto y = torch::empty(shape, x.options());
  if (z != nullptr) *z = torch::empty({e.rows, e.hidden}, x.options());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "mlp", [&] {
    forward_kernel<scalar_t>(e, x.data_ptr<scalar_t>(), first.weight.data_ptr<scalar_t>(),
                             data_or_null<scalar_t>(first.bias), second.weight.data_ptr<scalar_t>(),
                             data_or_null<scalar_t>(second.bias),
                             z == nullptr ? nullptr : z->data_ptr<scalar_t>(),
                             y.data_ptr<scalar_t>());
  });
  return y;
}

class MlpFunction : public torch::autograd::Function<MlpFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight1,
                               const c10::optional<torch::Tensor>& bias1,
                               const torch::Tensor& weight2,
                               const c10::optional<torch::Tensor>& bias2) {
    const Projection first{weight1, bias1.value_or(torch::Tensor())};
    const Projection second{weight2, bias2.value_or(torch::Tensor())};
    torch::Tensor z;
    const auto y = run_forward(x, first, second, &z);
    context->save_for_backward({x, first.weight, first.bias, second.weight, second.bias, z});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const Projection first{saved[1], saved[2]}, second{saved[3], saved[4]};
    if (at::GradMode::is_enabled()) {
      return differentiable_gradients({eager_mlp(x, first, second)},
                                      {x, first.weight, first.bias, second.weight, second.bias},
                                      {gradients[0]});
    }
    const SerialBlas serial;
    const auto dy = gradients[0].contiguous();
    const MlpExtents e = extents_of(x, first.weight, second.weight);
    const int64_t slices = slice_count(e.rows, 64);
    const auto dx = context->needs_input_grad(0) ? torch::empty_like(x) : torch::Tensor();
    const ProjectionGradient gradient1(slices, e.hidden, e.in, x.options());
    const ProjectionGradient gradient2(slices, e.out, e.hidden, x.options());
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "mlp_backward", [&] {
      backward_kernel<scalar_t>(
          e, slices, x.data_ptr<scalar_t>(), first.weight.data_ptr<scalar_t>(),
          second.weight.data_ptr<scalar_t>(), saved[5].data_ptr<scalar_t>(),
          dy.data_ptr<scalar_t>(), dx.defined() ? dx.data_ptr<scalar_t>() : nullptr, gradient1,
          gradient2);
    });
    return {dx, gradient1.weight(), first.bias.defined() ? gradient1.bias() : torch::Tensor(),
            gradient2.weight(), second.bias.defined() ? gradient2.bias() : torch::Tensor()};
  }
};

}  // namespace

torch::Tensor fused_mlp(const torch::Tensor& x, const Projection& first, const Projection& second) {
  check_projection(x.sizes(), first.weight, first.bias);
  check_projection({first.weight.size(0)}, second.weight, second.bias);
  const auto a = dense(first), b = dense(second);
  if (x.numel() == 0 || !projection_fits({x, a.weight, a.bias, b.weight, b.bias})) {
    return eager_mlp(x, first, second);
  }
  const auto rows = x.contiguous();
  if (needs_gradient({x, a.weight, a.bias, b.weight, b.bias})) {
    return MlpFunction::apply(rows, a.weight, optional(a.bias), b.weight, optional(b.bias));
  }
  return run_forward(rows, a, b, nullptr);
}

torch::Tensor eager_mlp(const torch::Tensor& x, const Projection& first, const Projection& second) {
  return eager_linear(eager_linear(x, first.weight, first.bias, Activation::kGelu), second.weight,
                      second.bias, Activation::kNone);
}

}  // namespace asmlp::nn
