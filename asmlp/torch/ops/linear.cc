#include "asmlp/torch/ops/functional-inl.h"
#include "asmlp/torch/ops/functional.h"
#include "asmlp/torch/ops/row_blocks-inl.h"

namespace asmlp::nn {
namespace {

struct Extents {
  int64_t rows = 0;
  int64_t in = 0;
  int64_t out = 0;
};

template <typename T>
void forward_kernel(const Extents& e, const T* x, const T* weight, const T* bias, T* z, T* y,
                    Activation activation) {
  PackedWeights<T> factor(weight, e.in, e.out, /*transposed=*/true);
  pack(factor);
  parallel_blocks(e.rows, block_rows(e.in + e.out, 112), [&](int64_t row, int64_t end) {
    T* z_block = z + row * e.out;
    factor.multiply(x + row * e.in, e.in, end - row, bias, z_block);
    if (activation == Activation::kGelu) gelu(z_block, y + row * e.out, (end - row) * e.out);
  });
}

// dz = dy activation'(z); dx = dz W (unless null).
template <typename T>
void backward_kernel(const Extents& e, int64_t slices, int64_t block, const T* x, const T* weight,
                     const T* z, const T* dy, T* dx, const ProjectionGradient& gradient,
                     Activation activation) {
  PackedWeights<T> factor(weight, e.out, e.in, /*transposed=*/false);
  if (dx != nullptr) pack(factor);
  at::parallel_for(0, slices, 1, [&](int64_t first, int64_t last) {
    std::vector<T> buffer, scratch;
    for (int64_t slice = first; slice < last; ++slice) {
      const int64_t begin = e.rows * slice / slices, stop = e.rows * (slice + 1) / slices;
      for_blocks(begin, stop, block, [&](int64_t row, int64_t end) {
        const int64_t rows = end - row;
        const T* dz = dy + row * e.out;
        if (activation == Activation::kGelu) {
          buffer.resize(rows * e.out);
          gelu_backward<T>(z + row * e.out, dz, buffer.data(), nullptr, rows, e.out,
                           gradient.bias<T>(slice));
          dz = buffer.data();
        } else {
          add_columns(dz, rows, e.out, gradient.bias<T>(slice));
        }
        gradient.add(slice, row == begin, dz, x + row * e.in, rows, scratch);
        if (dx != nullptr) factor.multiply(dz, e.out, rows, nullptr, dx + row * e.in);
      });
    }
  });
}

// Returns y; z receives what the activation was applied to (y itself without one). When nobody will
// ask for z again, `keep_z` false lets the activation overwrite it.
torch::Tensor run_forward(const torch::Tensor& x, const torch::Tensor& weight,
                          const torch::Tensor& bias, Activation activation, bool keep_z,
                          torch::Tensor* z) {
  const SerialBlas serial;
  const Extents e{x.numel() / x.size(-1), x.size(-1), weight.size(0)};
  auto shape = x.sizes().vec();
  shape.back() = e.out;
  *z = torch::empty(shape, x.options());
  auto y = keep_z && activation == Activation::kGelu ? torch::empty_like(*z) : *z;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "linear", [&] {
    forward_kernel<scalar_t>(e, x.data_ptr<scalar_t>(), weight.data_ptr<scalar_t>(),
                             data_or_null<scalar_t>(bias), z->data_ptr<scalar_t>(),
                             y.data_ptr<scalar_t>(), activation);
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
    const int64_t block = block_rows(e.in + e.out, 168), slices = slice_count(e.rows, 64);
    const auto dx = context->needs_input_grad(0) ? torch::empty_like(x) : torch::Tensor();
    const ProjectionGradient gradient(slices, e.out, e.in, x.options());
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "linear_backward", [&] {
      backward_kernel<scalar_t>(
          e, slices, block, x.data_ptr<scalar_t>(), weight.data_ptr<scalar_t>(),
          data_or_null<scalar_t>(z), dy.data_ptr<scalar_t>(),
          dx.defined() ? dx.data_ptr<scalar_t>() : nullptr, gradient, activation);
    });
    return {dx, gradient.weight(), bias.defined() ? gradient.bias() : torch::Tensor(), {}};
  }
};

}  // namespace

torch::Tensor fused_linear(const torch::Tensor& x, const torch::Tensor& weight,
                           const torch::Tensor& bias, Activation activation) {
  check_projection(x.sizes(), weight, bias);
  const Projection projection = dense({weight, bias});
  if (x.numel() == 0 || !projection_fits({x, projection.weight, projection.bias})) {
    return eager_linear(x, weight, bias, activation);
  }
  const auto rows = x.contiguous();
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
