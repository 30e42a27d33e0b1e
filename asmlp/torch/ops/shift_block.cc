#include "asmlp/torch/ops/functional.h"
#include "asmlp/torch/ops/op_clock.h"
#include "asmlp/torch/ops/shift_backward-inl.h"
#include "asmlp/torch/ops/shift_forward-inl.h"

namespace asmlp::nn {
namespace {

// y, and the moments of its samples.
FeatureMap run_forward(const ShiftMaps& m, ShiftKept* kept) {
  const SerialBlas serial;
  const OpClock clock("shift block", /*backward=*/false, m.channels(), m.multiply_adds(),
                      m.bytes(kept == nullptr ? 3 : 7));
  if (kept != nullptr) {
    const int64_t rows = m.images() * m.pixels();
    for (torch::Tensor* map : {&kept->z, &kept->z1, &kept->z2, &kept->y}) {
      *map = torch::empty({rows, m.channels()}, m.x.options());
    }
    kept->z_moments = torch::empty({m.images(), 2}, m.moments.options());
    kept->y_moments = torch::empty({m.images(), 2}, m.moments.options());
  }
  FeatureMap result{torch::empty_like(m.x), m.moments.clone()};
  dispatch_products(m.x, [&](auto stored_type, auto product_type) {
    using S = decltype(stored_type);
    using T = Arithmetic<S>;
    const auto sums = torch::empty({m.x.size(0) * m.pixels(), 2}, m.moments.options());
    auto* const rows = reinterpret_cast<RowMoments<T>*>(sums.data_ptr<T>());
    ShiftForward<S, decltype(product_type)>(m, kept, result.x, rows).run();
    finish_samples(m.samples, rows, m.pixels(), m.channels(), result.moments);
  });
  copy_dropped(m.samples, m.x, result.x);
  return result;
}

class ShiftBlockFunction : public torch::autograd::Function<ShiftBlockFunction> {
 public:
  // norm, conv1, norm1, conv2_1, conv2_2, norm2 and conv3, each with its bias.
  static constexpr int kParameters = 14;

  // The parameters follow x, its moments, the factors and the shifts.
  template <typename... Parameters>
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                const torch::Tensor& x,
                                                const torch::Tensor& moments,
                                                const c10::optional<torch::Tensor>& scale,
                                                AxialShift along_w, AxialShift along_h,
                                                const Parameters&... parameters) {
    static_assert(sizeof...(parameters) == kParameters);
    const std::vector<torch::Tensor> all{value(parameters)...};
    const ShiftMaps m = maps_of(x, moments, value(scale), along_w, along_h, all);
    ShiftKept kept;
    const FeatureMap y = run_forward(m, &kept);
    torch::autograd::variable_list saved{x,       moments, value(scale),   kept.z,        kept.z1,
                                         kept.z2, kept.y,  kept.z_moments, kept.y_moments};
    saved.insert(saved.end(), all.begin(), all.end());
    context->save_for_backward(saved);
    context->saved_data["w"] = pack_shift(along_w);
    context->saved_data["h"] = pack_shift(along_h);
    context->mark_non_differentiable({y.moments});
    return {y.x, y.moments};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const std::vector<torch::Tensor> parameters(saved.begin() + 9, saved.end());
    const ShiftMaps m =
        maps_of(saved[0], saved[1], saved[2], unpack_shift(context->saved_data["w"]),
                unpack_shift(context->saved_data["h"]), parameters);
    torch::autograd::variable_list result(5 + kParameters);
    if (at::GradMode::is_enabled()) {
      std::vector<torch::Tensor> inputs{m.x};
      inputs.insert(inputs.end(), parameters.begin(), parameters.end());
      const auto d = differentiable_gradients({eager_shift_block(m.x, m.block, m.scale)}, inputs,
                                              {d_outputs[0]});
      result[0] = d[0];
      std::copy(d.begin() + 1, d.end(), result.begin() + 5);
      return result;
    }
    const SerialBlas serial;
    const OpClock clock("shift block", /*backward=*/true, m.channels(), 2 * m.multiply_adds(),
                        m.bytes(8));
    const ShiftKept kept{saved[3], saved[4], saved[5], saved[6], saved[7], saved[8]};
    const auto dy = d_outputs[0].contiguous();
    const auto dx = context->needs_input_grad(0) ? torch::empty_like(m.x) : torch::Tensor();
    dispatch_products(m.x, [&](auto stored_type, auto product_type) {
      using P = decltype(product_type);
      ShiftGradients<P> gradients(m);
      ShiftBackward<decltype(stored_type), P>(m, kept, dy, dx, gradients).run();
      auto next = result.begin() + 5;
      const auto put = [&](const torch::Tensor& weight, const torch::Tensor& bias) {
        const bool biased = saved[static_cast<size_t>(next - result.begin()) + 5].defined();
        *next++ = weight;
        *next++ = biased ? bias : torch::Tensor();
      };
      const auto put_norm = [&](const torch::Tensor& sums) {
        put(sums.slice(0, 0, m.channels()), sums.slice(0, m.channels()));
      };
      const auto put_projection = [&](ProjectionGradient<P>& gradient) {
        put(gradient.weight(), gradient.bias_sum());
      };
      put_norm(gradients.norm.total());
      put_projection(gradients.conv1);
      put_norm(gradients.norm1.total());
      put_projection(gradients.branch[0]);
      put_projection(gradients.branch[1]);
      put_norm(gradients.norm2.total());
      put_projection(gradients.conv3);
    });
    result[0] = dx;
    if (dx.defined()) copy_dropped(m.samples, dy, dx);
    return result;
  }

  static ShiftMaps maps_of(const torch::Tensor& x, const torch::Tensor& moments,
                           const torch::Tensor& scale, const AxialShift& along_w,
                           const AxialShift& along_h, const std::vector<torch::Tensor>& p) {
    return {x,
            moments,
            {{p[0], p[1]},
             {p[2], p[3]},
             {p[4], p[5]},
             {p[6], p[7]},
             {p[8], p[9]},
             {p[10], p[11]},
             {p[12], p[13]},
             along_w,
             along_h},
            scale,
            kept_samples(x.size(0), scale)};
  }

 private:
  static torch::Tensor value(const c10::optional<torch::Tensor>& tensor) {
    return tensor.value_or(torch::Tensor());
  }
};

}  // namespace

FeatureMap fused_shift_block(const FeatureMap& x, const ShiftBlock& b, const torch::Tensor& scale) {
  check_block(x.x, b.norm, scale);
  check_shift(x.x, b.along_w);
  check_shift(x.x, b.along_h);
  const int64_t channels = x.x.size(3);
  for (const Projection* projection : {&b.conv1, &b.conv2_1, &b.conv2_2, &b.conv3}) {
    check_projection(x.x.sizes(), projection->weight, projection->bias);
    require(projection->weight.size(0) == channels, ErrorCode::kInvalidArgument,
            "shift block: a projection gives {} channels, not {}", projection->weight.size(0),
            channels);
  }
  for (const Projection* norm : {&b.norm1, &b.norm2}) check_block(x.x, *norm, scale);
  const Projection norm = dense_norm(b.norm), norm1 = dense_norm(b.norm1),
                   norm2 = dense_norm(b.norm2);
  const Projection conv1 = dense(b.conv1), conv2_1 = dense(b.conv2_1), conv2_2 = dense(b.conv2_2),
                   conv3 = dense(b.conv3);
  const auto map = as_map(x.x);
  const std::initializer_list<torch::Tensor> parameters{
      norm.weight,  norm.bias,      conv1.weight, conv1.bias,     norm1.weight,
      norm1.bias,   conv2_1.weight, conv2_1.bias, conv2_2.weight, conv2_2.bias,
      norm2.weight, norm2.bias,     conv3.weight, conv3.bias};
  if (map.numel() == 0 || !projection_fits(map, parameters)) {
    return {eager_shift_block(x.x, b, scale), {}};
  }
  const FeatureMap rows = with_moments({map.contiguous(), x.moments}, norm.weight);
  const auto factors = factors_like(scale, norm.weight);
  if (needs_gradient({x.x}) || needs_gradient(parameters)) {
    const auto result = ShiftBlockFunction::apply(
        rows.x, rows.moments, optional(factors), b.along_w, b.along_h, optional(norm.weight),
        optional(norm.bias), optional(conv1.weight), optional(conv1.bias), optional(norm1.weight),
        optional(norm1.bias), optional(conv2_1.weight), optional(conv2_1.bias),
        optional(conv2_2.weight), optional(conv2_2.bias), optional(norm2.weight),
        optional(norm2.bias), optional(conv3.weight), optional(conv3.bias));
    return {result[0], result[1]};
  }
  return run_forward(
      ShiftBlockFunction::maps_of(rows.x, rows.moments, factors, b.along_w, b.along_h, parameters),
      nullptr);
}

torch::Tensor eager_shift_block(const torch::Tensor& x, const ShiftBlock& b,
                                const torch::Tensor& scale) {
  const auto normal = eager_group_norm(x, b.norm.weight, b.norm.bias, Activation::kNone);
  const auto a =
      eager_group_norm(eager_linear(normal, b.conv1.weight, b.conv1.bias, Activation::kNone),
                       b.norm1.weight, b.norm1.bias, Activation::kGelu);
  const auto branch = [&](const AxialShift& shift, const Projection& projection) {
    return eager_linear(axial_shift(a, shift), projection.weight, projection.bias,
                        Activation::kGelu);
  };
  const auto y = branch(b.along_w, b.conv2_1) + branch(b.along_h, b.conv2_2);
  return eager_sum(
      x,
      eager_linear(eager_group_norm(y, b.norm2.weight, b.norm2.bias, Activation::kNone),
                   b.conv3.weight, b.conv3.bias, Activation::kNone),
      scale);
}

}  // namespace asmlp::nn
