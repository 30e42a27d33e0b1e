#include "asmlp/torch/ops/functional-inl.h"
#include "asmlp/torch/ops/functional.h"
#include "asmlp/torch/ops/op_clock.h"
#include "asmlp/torch/ops/row_blocks-inl.h"

namespace asmlp::nn {
namespace {

struct Extents {
  int64_t rows = 0;
  int64_t in = 0;
  int64_t out = 0;
};

// z receives what the activation is applied to; with an activation, y is its result.
template <typename S, typename P>
void linear_forward(const Extents& e, const torch::Tensor& x, const torch::Tensor& weight,
                    const torch::Tensor& bias, const torch::Tensor& z, const torch::Tensor& y,
                    Activation activation) {
  using T = Arithmetic<S>;
  PackedWeights<P> factor(weight.data_ptr<T>(), e.in, e.out, /*transposed=*/true,
                          data_or_null<T>(bias), kWeights<S>);
  pack(factor);
  const S* in = stored<S>(x);
  S *const sums = stored<S>(z), *const out = stored<S>(y);
  parallel_blocks(e.rows, block_rows(e.in + e.out, 112), Schedule::kDynamic,
                  [&](int64_t row, int64_t end) {
                    Scratch scratch;
                    const int64_t rows = end - row;
                    S* const z_rows = sums + row * e.out;
                    const P* x_rows = product_input<P>(scratch, in + row * e.in, rows * e.in);
                    T* const product = product_rows(scratch, z_rows, rows * e.out);
                    factor.multiply(x_rows, e.in, rows, product);
                    store_rows<S>(product, z_rows, rows, e.out, nullptr);
                    if (activation == Activation::kGelu)
                      gelu(z_rows, out + row * e.out, rows * e.out);
                  });
}

// dz = dy activation'(z); dx = dz W (unless undefined).
template <typename S, typename P>
void linear_backward(const Extents& e, const torch::Tensor& x, const torch::Tensor& weight,
                     const torch::Tensor& z, const torch::Tensor& dy, const torch::Tensor& dx,
                     ProjectionGradient<P>& gradient, Activation activation) {
  using T = Arithmetic<S>;
  PackedWeights<P> factor(weight.data_ptr<T>(), e.out, e.in, /*transposed=*/false, nullptr,
                          kWeights<S>);
  if (dx.defined()) pack(factor);
  parallel_blocks(
      e.rows, block_rows(2 * (e.in + e.out), 168), Schedule::kStatic,
      [&](int64_t row, int64_t end) {
        Scratch scratch;
        const int64_t rows = end - row;
        const S* d_out = stored<S>(dy) + row * e.out;
        const P* dz;
        if (activation == Activation::kGelu) {
          auto* d = scratch.take<T>(rows * e.out);
          convert(d_out, d, rows * e.out);
          auto* result = scratch.take<P>(rows * e.out);
          gelu_backward<S, P>(stored<S>(z) + row * e.out, d, result, nullptr, rows, e.out,
                              gradient.bias());
          dz = result;
        } else {
          add_columns(d_out, rows, e.out, gradient.bias());
          dz = product_input<P>(scratch, d_out, rows * e.out);
        }
        gradient.add(dz, product_input<P>(scratch, stored<S>(x) + row * e.in, rows * e.in), rows);
        if (!dx.defined()) return;
        S* const dx_rows = stored<S>(dx) + row * e.in;
        T* const product = product_rows(scratch, dx_rows, rows * e.in);
        factor.multiply(dz, e.out, rows, product);
        store_rows<S>(product, dx_rows, rows, e.in, nullptr);
      });
}

// Returns y; z receives what the activation was applied to (y itself without one). When nobody will
// ask for z again, `keep_z` false lets the activation overwrite it.
torch::Tensor run_forward(const torch::Tensor& x, const torch::Tensor& weight,
                          const torch::Tensor& bias, Activation activation, bool keep_z,
                          torch::Tensor* z) {
  const SerialBlas serial;
  const Extents e{x.numel() / x.size(-1), x.size(-1), weight.size(0)};
  const int64_t maps =
      e.rows * (e.in + (keep_z && activation == Activation::kGelu ? 2 : 1) * e.out);
  const OpClock clock("linear", /*backward=*/false, e.in, e.rows * e.in * e.out,
                      maps * x.element_size());
  auto shape = x.sizes().vec();
  shape.back() = e.out;
  *z = torch::empty(shape, x.options());
  auto y = keep_z && activation == Activation::kGelu ? torch::empty_like(*z) : *z;
  dispatch_products(x, [&](auto stored_type, auto product_type) {
    linear_forward<decltype(stored_type), decltype(product_type)>(e, x, weight, bias, *z, y,
                                                                  activation);
  });
  return y;
}

class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight,
                               const c10::optional<torch::Tensor>& optional_bias,
                               Activation activation) {
    const auto bias = optional_bias.value_or(torch::Tensor());
    torch::Tensor z;
    const auto y = run_forward(x, weight, bias, activation, /*keep_z=*/true, &z);
    context->save_for_backward(
        {x, weight, bias, activation == Activation::kGelu ? z : torch::Tensor()});
    context->saved_data["activation"] = static_cast<int64_t>(activation);
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &bias = saved[2], &z = saved[3];
    const auto activation = static_cast<Activation>(context->saved_data["activation"].toInt());
    if (at::GradMode::is_enabled()) {
      auto result = differentiable_gradients({eager_linear(x, weight, bias, activation)},
                                             {x, weight, bias}, {gradients[0]});
      result.emplace_back();
      return result;
    }
    const SerialBlas serial;
    const auto dy = gradients[0].contiguous();
    const Extents e{x.numel() / x.size(-1), x.size(-1), weight.size(0)};
    const int64_t products = context->needs_input_grad(0) ? 2 : 1;
    const OpClock clock(
        "linear", /*backward=*/true, e.in, products * e.rows * e.in * e.out,
        e.rows * (products * e.in + (z.defined() ? 2 : 1) * e.out) * x.element_size());
    const auto dx = context->needs_input_grad(0) ? torch::empty_like(x) : torch::Tensor();
    torch::autograd::variable_list result(4);
    result[0] = dx;
    dispatch_products(x, [&](auto stored_type, auto product_type) {
      using P = decltype(product_type);
      ProjectionGradient<P> gradient(e.out, e.in, weight.options());
      linear_backward<decltype(stored_type), P>(e, x, weight, z, dy, dx, gradient, activation);
      result[1] = gradient.weight();
      if (bias.defined()) result[2] = gradient.bias_sum();
    });
    return result;
  }
};

}  // namespace

torch::Tensor fused_linear(const torch::Tensor& x, const torch::Tensor& weight,
                           const torch::Tensor& bias, Activation activation) {
  check_projection(x.sizes(), weight, bias);
  const Projection projection = dense({weight, bias});
  const auto map = as_map(x);
  if (x.numel() == 0 || !projection_fits(map, {projection.weight, projection.bias})) {
    return eager_linear(x, weight, bias, activation);
  }
  const auto rows = map.contiguous();
  if (needs_gradient({x, weight, bias})) {
    return LinearFunction::apply(rows, projection.weight, optional(projection.bias), activation);
  }
  torch::Tensor z;
  return run_forward(rows, projection.weight, projection.bias, activation, /*keep_z=*/false, &z);
}

torch::Tensor eager_linear(const torch::Tensor& x, const torch::Tensor& weight,
                           const torch::Tensor& bias, Activation activation) {
  const auto matrix = weight.dim() == 2 ? weight : weight.flatten(1);
  return activate(bias.defined() ? torch::linear(x, matrix, bias) : torch::linear(x, matrix),
                  activation);
}

}  // namespace asmlp::nn
