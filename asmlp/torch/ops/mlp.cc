#include "asmlp/torch/ops/functional-inl.h"
#include "asmlp/torch/ops/functional.h"
#include "asmlp/torch/ops/image_norm-inl.h"
#include "asmlp/torch/ops/op_clock.h"
#include "asmlp/torch/ops/row_blocks-inl.h"

namespace asmlp::nn {
namespace {

// What the kernels are given. Without a norm the rows are one "image" and there is no residual sum.
struct MlpMaps {
  torch::Tensor x, moments;  // of the whole batch; moments are those of x, with a norm
  Projection norm, first, second;
  torch::Tensor scale;                // of every sample of the batch, or undefined
  std::vector<int64_t> samples = {};  // that are computed
  int64_t pixels = 0;

  bool normed() const { return norm.weight.defined(); }
  int64_t in() const { return x.size(-1); }
  int64_t hidden() const { return first.weight.size(0); }
  int64_t out() const { return second.weight.size(0); }
  int64_t rows() const { return static_cast<int64_t>(samples.size()) * pixels; }
  const char* name() const { return normed() ? "mlp block" : "mlp"; }
  int64_t multiply_adds() const { return rows() * hidden() * (in() + out()); }
  // Of so many maps of each width.
  int64_t bytes(int64_t of_in, int64_t of_hidden, int64_t of_out) const {
    return rows() * (of_in * in() + of_hidden * hidden() + of_out * out()) * x.element_size();
  }
};

// The rows of a block as the first product reads them: the norm of x, or x itself.
template <typename S, typename P>
const P* input_rows(const MlpMaps& m, const ImageGroup& group, const RowBlock& block,
                    Scratch& scratch) {
  const int64_t in = m.in();
  if (!m.normed()) {
    const S* rows = stored<S>(m.x) + (group.first_row() + block.begin) * in;
    return product_input<P>(scratch, rows, block.rows() * in);
  }
  auto* normal = scratch.take<P>(block.rows() * in);
  normalize_batch<S>(m.x, m.moments, m.norm, group, block, normal);
  return normal;
}

// `z`, when defined, keeps what the GELU is applied to, of the samples that are computed. `y` is of
// the whole batch; `row_sums`, when not null, receives the moments of its rows.
template <typename S, typename P>
void mlp_forward(const MlpMaps& m, const torch::Tensor& z, const torch::Tensor& y,
                 RowMoments<Arithmetic<S>>* row_sums) {
  using T = Arithmetic<S>;
  const int64_t in = m.in(), hidden = m.hidden(), out = m.out();
  PackedWeights<P> first(m.first.weight.data_ptr<T>(), in, hidden, /*transposed=*/true,
                         data_or_null<T>(m.first.bias), kWeights<S>);
  PackedWeights<P> second(m.second.weight.data_ptr<T>(), hidden, out, /*transposed=*/true,
                          data_or_null<T>(m.second.bias), kWeights<S>);
  pack(first);
  pack(second);
  const S* x = stored<S>(m.x);
  S* const result = stored<S>(y);
  const ImageGroup all{m.samples.data(), 0,
                       Segments(static_cast<int64_t>(m.samples.size()), m.pixels)};
  parallel_segments(
      all.segments, block_rows(in + 2 * hidden + out, 112), Schedule::kDynamic,
      [&](const RowBlock& block) {
        Scratch scratch;
        const int64_t rows = block.rows();
        S* kept =
            z.defined() ? stored<S>(z) + block.begin * hidden : scratch.take<S>(rows * hidden);
        T* const sums = product_rows(scratch, kept, rows * hidden);
        first.multiply(input_rows<S, P>(m, all, block, scratch), in, rows, sums);
        store_rows<S>(sums, kept, rows, hidden, nullptr);
        auto* activated = scratch.take<P>(rows * hidden);
        gelu(kept, activated, rows * hidden);
        if (!m.normed()) {
          S* to = result + block.begin * out;
          T* const product = product_rows(scratch, to, rows * out);
          second.multiply(activated, hidden, rows, product);
          return store_rows<S>(product, to, rows, out, nullptr);
        }
        T* branch = scratch.take<T>(rows * out);
        second.multiply(activated, hidden, rows, branch);
        for_segments(all.segments, block, [&](int64_t image, int64_t begin, int64_t n, int64_t) {
          const int64_t row = all.batch_row(image, begin);
          store_sum(x + row * out, branch + (begin - block.begin) * out,
                    sample_factor<T>(m.scale, all.images[image]), result + row * out, n, out,
                    row_sums == nullptr ? nullptr : row_sums + row);
        });
      });
}

// The gradients of a branch, and of its input in `dx` (undefined where nobody asks).
template <typename P>
struct MlpGradients {
  using T = Arithmetic<P>;
  explicit MlpGradients(const MlpMaps& m)
      : first(m.hidden(), m.in(), m.first.weight.options()),
        second(m.out(), m.hidden(), m.second.weight.options()),
        norm(2 * m.in(), m.first.weight.options()) {}
  ProjectionGradient<P> first, second;
  ThreadSums<T> norm;  // gamma's, then beta's
};

// factor * dy as products read it, and the gradient of the last bias.
template <typename S, typename P>
const P* branch_gradient(const MlpMaps& m, const ImageGroup& group, const RowBlock& block,
                         const torch::Tensor& dy, Scratch& scratch) {
  const int64_t out = m.out();
  if (!m.normed()) {
    const S* rows = stored<S>(dy) + (group.first_row() + block.begin) * out;
    return product_input<P>(scratch, rows, block.rows() * out);
  }
  auto* d = scratch.take<P>(block.rows() * out);
  scale_batch<S>(dy, m.scale, group, block, d);
  return d;
}

template <typename S, typename P>
void mlp_backward(const MlpMaps& m, const torch::Tensor& z, const torch::Tensor& dy,
                  const torch::Tensor& dx, MlpGradients<P>& gradients) {
  using T = Arithmetic<S>;
  const int64_t in = m.in(), hidden = m.hidden(), out = m.out();
  PackedWeights<P> first(m.first.weight.data_ptr<T>(), hidden, in, /*transposed=*/false, nullptr,
                         kWeights<S>);
  PackedWeights<P> second(m.second.weight.data_ptr<T>(), out, hidden, /*transposed=*/false, nullptr,
                          kWeights<S>);
  const bool inputs = dx.defined() || m.normed();
  if (inputs) pack(first);
  pack(second);
  const auto samples = static_cast<int64_t>(m.samples.size());
  for_image_groups(
      samples, m.pixels, Schedule::kStatic, [&](int64_t begin_image, int64_t end_image) {
        const ImageGroup group{m.samples.data() + begin_image, begin_image,
                               Segments(end_image - begin_image, m.pixels)};
        const Segments& segments = group.segments;
        Scratch group_scratch;
        NormBackward<T> norm(group_scratch, segments, m.normed() ? in : 0);
        // The gradient of the norm's output, until its sums are known.
        const auto between =
            m.normed() ? torch::empty({segments.rows(), in}, m.x.options()) : torch::Tensor();
        parallel_segments(
            segments, block_rows(in + 3 * hidden + out, 168), Schedule::kStatic,
            [&](const RowBlock& block) {
              Scratch scratch;
              const int64_t rows = block.rows();
              const P* d = branch_gradient<S, P>(m, group, block, dy, scratch);
              add_columns(d, rows, out, gradients.second.bias());
              T* d_hidden = scratch.take<T>(rows * hidden);
              second.multiply(d, out, rows, d_hidden);
              auto* activated = scratch.take<P>(rows * hidden);
              P* dz;
              if constexpr (std::is_same_v<T, P>) {
                dz = d_hidden;
              } else {
                dz = scratch.take<P>(rows * hidden);
              }
              gelu_backward(stored<S>(z) + (group.first_row() + block.begin) * hidden, d_hidden, dz,
                            activated, rows, hidden, gradients.first.bias());
              gradients.second.add(d, activated, rows);
              gradients.first.add(dz, input_rows<S, P>(m, group, block, scratch), rows);
              if (!inputs) return;
              S* kept = m.normed() ? stored<S>(between) + block.begin * in
                                   : stored<S>(dx) + (group.first_row() + block.begin) * in;
              T* const d_in = product_rows(scratch, kept, rows * in);
              first.multiply(dz, hidden, rows, d_in);
              if (!m.normed()) return store_rows<S>(d_in, kept, rows, in, nullptr);
              sum_norm_batch(m.x, m.moments, group, block, d_in, kept, norm);
            });
        if (!m.normed()) return;
        norm.finish(m.norm.weight.data_ptr<T>(), gradients.norm.data());
        if (!dx.defined()) return;
        norm_gradient_batch<S>(m.x, m.moments, m.norm.weight, group, stored<S>(between), norm, dy,
                               dx);
      });
}

// y, and z and the moments of y's samples unless their pointers are null.
torch::Tensor run_forward(const MlpMaps& m, torch::Tensor* z, torch::Tensor* moments) {
  const SerialBlas serial;
  const OpClock clock(m.name(), /*backward=*/false, m.in(), m.multiply_adds(),
                      m.bytes(m.normed() ? 2 : 1, z == nullptr ? 0 : 1, 1));
  auto shape = m.x.sizes().vec();
  shape.back() = m.out();
  auto y = torch::empty(shape, m.x.options());
  if (z != nullptr) *z = torch::empty({m.rows(), m.hidden()}, m.x.options());
  dispatch_products(m.x, [&](auto stored_type, auto product_type) {
    using S = decltype(stored_type);
    using T = Arithmetic<S>;
    const auto sums = moments == nullptr
                          ? torch::Tensor()
                          : torch::empty({m.x.size(0) * m.pixels, 2}, m.moments.options());
    auto* const rows =
        reinterpret_cast<RowMoments<T>*>(moments == nullptr ? nullptr : sums.data_ptr<T>());
    mlp_forward<S, decltype(product_type)>(m, z == nullptr ? torch::Tensor() : *z, y, rows);
    if (moments == nullptr) return;
    *moments = m.moments.clone();  // of samples that are not computed
    finish_samples(m.samples, rows, m.pixels, m.out(), *moments);
  });
  if (m.normed()) copy_dropped(m.samples, m.x, y);
  return y;
}

MlpMaps plain_maps(const torch::Tensor& x, const Projection& first, const Projection& second) {
  MlpMaps m{x, {}, {}, first, second, {}};
  m.samples = {0};
  m.pixels = x.numel() / x.size(-1);
  return m;
}

MlpMaps block_maps(const FeatureMap& map, const Projection& norm, const Projection& first,
                   const Projection& second, const torch::Tensor& scale) {
  MlpMaps m{map.x, map.moments, norm, first, second, scale};
  m.samples = kept_samples(map.x.size(0), scale);
  m.pixels = map.x.size(1) * map.x.size(2);
  return m;
}

class MlpFunction : public torch::autograd::Function<MlpFunction> {
 public:
  // x, or x, its moments and the norm's weight and bias; then the projections and the factors.
  static torch::autograd::variable_list forward(
      torch::autograd::AutogradContext* context, const torch::Tensor& x,
      const c10::optional<torch::Tensor>& moments, const c10::optional<torch::Tensor>& gamma,
      const c10::optional<torch::Tensor>& beta, const torch::Tensor& weight1,
      const c10::optional<torch::Tensor>& bias1, const torch::Tensor& weight2,
      const c10::optional<torch::Tensor>& bias2, const c10::optional<torch::Tensor>& scale) {
    const auto tensor = [](const auto& optional) { return optional.value_or(torch::Tensor()); };
    const torch::autograd::variable_list saved{
        x,       tensor(moments), tensor(gamma), tensor(beta), weight1, tensor(bias1),
        weight2, tensor(bias2),   tensor(scale)};
    const MlpMaps m = maps_of(saved);
    torch::Tensor z, after;
    const auto y = run_forward(m, &z, m.normed() ? &after : nullptr);
    auto kept = saved;
    kept.push_back(z);
    context->save_for_backward(kept);
    if (!m.normed()) return {y};
    context->mark_non_differentiable({after});
    return {y, after};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const Projection norm{saved[2], saved[3]}, first{saved[4], saved[5]},
        second{saved[6], saved[7]};
    const bool normed = norm.weight.defined();
    if (at::GradMode::is_enabled()) {
      const auto y = normed ? eager_mlp_block(saved[0], norm, first, second, saved[8])
                            : eager_mlp(saved[0], first, second);
      const auto d = differentiable_gradients(
          {y}, {saved[0], saved[2], saved[3], saved[4], saved[5], saved[6], saved[7]},
          {d_outputs[0]});
      return {d[0], {}, d[1], d[2], d[3], d[4], d[5], d[6], {}};
    }
    const SerialBlas serial;
    const MlpMaps m = maps_of(saved);
    const OpClock clock(m.name(), /*backward=*/true, m.in(), 2 * m.multiply_adds(),
                        m.bytes(m.normed() ? 3 : 2, 1, m.normed() ? 2 : 1));
    const auto dy = d_outputs[0].contiguous();
    const auto dx = context->needs_input_grad(0) ? torch::empty_like(m.x) : torch::Tensor();
    torch::autograd::variable_list result(9);
    result[0] = dx;
    dispatch_products(m.x, [&](auto stored_type, auto product_type) {
      using P = decltype(product_type);
      MlpGradients<P> gradients(m);
      mlp_backward<decltype(stored_type), P>(m, saved[9], dy, dx, gradients);
      result[4] = gradients.first.weight(), result[6] = gradients.second.weight();
      if (first.bias.defined()) result[5] = gradients.first.bias_sum();
      if (second.bias.defined()) result[7] = gradients.second.bias_sum();
      if (!normed) return;
      const auto sums = gradients.norm.total();
      result[2] = sums.slice(0, 0, m.in()), result[3] = sums.slice(0, m.in());
    });
    if (normed && dx.defined()) copy_dropped(m.samples, dy, dx);
    return result;
  }

 private:
  static MlpMaps maps_of(const torch::autograd::variable_list& saved) {
    const Projection norm{saved[2], saved[3]}, first{saved[4], saved[5]},
        second{saved[6], saved[7]};
    return norm.weight.defined() ? block_maps({saved[0], saved[1]}, norm, first, second, saved[8])
                                 : plain_maps(saved[0], first, second);
  }
};

}  // namespace

torch::Tensor fused_mlp(const torch::Tensor& x, const Projection& first, const Projection& second) {
  check_projection(x.sizes(), first.weight, first.bias);
  check_projection({first.weight.size(0)}, second.weight, second.bias);
  const auto a = dense(first), b = dense(second);
  const auto map = as_map(x);
  if (x.numel() == 0 || !projection_fits(map, {a.weight, a.bias, b.weight, b.bias})) {
    return eager_mlp(x, first, second);
  }
  const auto rows = map.contiguous();
  if (needs_gradient({x, a.weight, a.bias, b.weight, b.bias})) {
    return MlpFunction::apply(rows, c10::nullopt, c10::nullopt, c10::nullopt, a.weight,
                              optional(a.bias), b.weight, optional(b.bias), c10::nullopt)[0];
  }
  return run_forward(plain_maps(rows, a, b), nullptr, nullptr);
}

FeatureMap fused_mlp_block(const FeatureMap& x, const Projection& norm, const Projection& first,
                           const Projection& second, const torch::Tensor& scale) {
  check_block(x.x, norm, scale);
  check_projection(x.x.sizes(), first.weight, first.bias);
  check_projection({first.weight.size(0)}, second.weight, second.bias);
  require(second.weight.size(0) == x.x.size(3), ErrorCode::kInvalidArgument,
          "mlp block: {} channels cannot be added to {}", second.weight.size(0), x.x.size(3));
  const auto a = dense(first), b = dense(second), n = dense_norm(norm);
  const auto map = as_map(x.x);
  if (map.numel() == 0 ||
      !projection_fits(map, {n.weight, n.bias, a.weight, a.bias, b.weight, b.bias})) {
    return {eager_mlp_block(x.x, norm, first, second, scale), {}};
  }
  const FeatureMap rows = with_moments({map.contiguous(), x.moments}, n.weight);
  const auto factors = factors_like(scale, n.weight);
  if (needs_gradient({x.x, n.weight, n.bias, a.weight, a.bias, b.weight, b.bias})) {
    const auto result =
        MlpFunction::apply(rows.x, rows.moments, n.weight, n.bias, a.weight, optional(a.bias),
                           b.weight, optional(b.bias), optional(factors));
    return {result[0], result[1]};
  }
  FeatureMap result;
  result.x = run_forward(block_maps(rows, n, a, b, factors), nullptr, &result.moments);
  return result;
}

torch::Tensor eager_mlp(const torch::Tensor& x, const Projection& first, const Projection& second) {
  return eager_linear(eager_linear(x, first.weight, first.bias, Activation::kGelu), second.weight,
                      second.bias, Activation::kNone);
}

torch::Tensor eager_mlp_block(const torch::Tensor& x, const Projection& norm,
                              const Projection& first, const Projection& second,
                              const torch::Tensor& scale) {
  const auto normal = eager_group_norm(x, norm.weight, norm.bias, Activation::kNone);
  return eager_sum(x, eager_mlp(normal, first, second), scale);
}

}  // namespace asmlp::nn
