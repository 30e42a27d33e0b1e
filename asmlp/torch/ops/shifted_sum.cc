#include "asmlp/torch/ops/functional-inl.h"
#include "asmlp/torch/ops/functional.h"
#include "asmlp/torch/ops/row_blocks-inl.h"
#include "asmlp/torch/ops/shift_rows.h"

namespace asmlp::nn {
namespace {

struct SumExtents {
  int64_t images, h, w, in, out;
  int64_t rows() const { return images * h * w; }
};

SumExtents sum_extents_of(const torch::Tensor& x, const torch::Tensor& weight) {
  return {x.size(0), x.size(1), x.size(2), x.size(3), weight.size(0)};
}

// One of the two branches; `z`, what its GELU is applied to, is kept unless null.
template <typename T>
struct Branch {
  AxialShift shift;
  const T* weight;
  const T* bias;
  T* z;
};

template <typename T>
void forward_kernel(const SumExtents& e, const T* x, const Branch<T> (&branches)[2], T* y) {
  PackedWeights<T> factors[]{{branches[0].weight, e.in, e.out, /*transposed=*/true},
                             {branches[1].weight, e.in, e.out, /*transposed=*/true}};
  for (auto& factor : factors) pack(factor);
  const ShiftRows shifts[]{{branches[0].shift, /*adjoint=*/false, e.h, e.w, e.in},
                           {branches[1].shift, /*adjoint=*/false, e.h, e.w, e.in}};
  const int64_t block = block_rows(2 * e.in + 2 * e.out, 112);
  at::parallel_for(0, e.rows(), block, [&](int64_t begin, int64_t end) {
    const auto shifted = std::make_unique_for_overwrite<T[]>(block * e.in);
    const auto buffer = std::make_unique_for_overwrite<T[]>(block * e.out);
    for_blocks(begin, end, block, [&](int64_t row, int64_t stop) {
      const int64_t rows = stop - row;
      for (int i = 0; i < 2; ++i) {
        T* z = branches[i].z == nullptr ? buffer.get() : branches[i].z + row * e.out;
        shifts[i].gather(x, row, stop, shifted.get());
        factors[i].multiply(shifted.get(), e.in, rows, branches[i].bias, z);
        (i == 0 ? gelu<T> : add_gelu<T>)(z, y + row * e.out, rows * e.out);
      }
    });
  });
}

// d_shifted[i] is the gradient of the shifted maps.
template <typename T>
void backward_kernel(const SumExtents& e, int64_t slices, const T* x,
                     const Branch<T> (&branches)[2], const T* dy, T* const (&d_shifted)[2], T* dx,
                     const ProjectionGradient (&gradients)[2]) {
  PackedWeights<T> factors[]{{branches[0].weight, e.out, e.in, /*transposed=*/false},
                             {branches[1].weight, e.out, e.in, /*transposed=*/false}};
  if (dx != nullptr) {
    for (auto& factor : factors) pack(factor);
  }
  const ShiftRows shifts[]{{branches[0].shift, /*adjoint=*/false, e.h, e.w, e.in},
                           {branches[1].shift, /*adjoint=*/false, e.h, e.w, e.in}};
  const int64_t block = block_rows(2 * e.in + 3 * e.out, 168);
  at::parallel_for(0, slices, 1, [&](int64_t from, int64_t to) {
    const auto shifted = std::make_unique_for_overwrite<T[]>(block * e.in);
    const auto dz = std::make_unique_for_overwrite<T[]>(block * e.out);
    std::vector<T> scratch;
    for (int64_t slice = from; slice < to; ++slice) {
      const int64_t begin = e.rows() * slice / slices, end = e.rows() * (slice + 1) / slices;
      for_blocks(begin, end, block, [&](int64_t row, int64_t stop) {
        const int64_t rows = stop - row;
        for (int i = 0; i < 2; ++i) {
          gelu_backward<T>(branches[i].z + row * e.out, dy + row * e.out, dz.get(), nullptr, rows,
                           e.out, gradients[i].bias<T>(slice));
          shifts[i].gather(x, row, stop, shifted.get());
          gradients[i].add(slice, row == begin, dz.get(), shifted.get(), rows, scratch);
          if (dx == nullptr) continue;
          factors[i].multiply(dz.get(), e.out, rows, nullptr, d_shifted[i] + row * e.in);
        }
      });
    }
  });
  if (dx == nullptr) return;
  const ShiftRows adjoints[]{{branches[0].shift, /*adjoint=*/true, e.h, e.w, e.in},
                             {branches[1].shift, /*adjoint=*/true, e.h, e.w, e.in}};
  parallel_blocks(e.rows(), block, [&](int64_t begin, int64_t end) {
    adjoints[0].gather(d_shifted[0], begin, end, dx + begin * e.in);
    adjoints[1].gather(d_shifted[1], begin, end, dx + begin * e.in, /*add=*/true);
  });
}

torch::Tensor run_forward(const torch::Tensor& x, const ShiftedProjection& first,
                          const ShiftedProjection& second, torch::Tensor* z1, torch::Tensor* z2) {
  const SerialBlas serial;
  const SumExtents e = sum_extents_of(x, first.projection.weight);
  auto y = torch::empty({e.images, e.h, e.w, e.out}, x.options());
  if (z1 != nullptr) *z1 = torch::empty_like(y), *z2 = torch::empty_like(y);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "shifted_sum", [&] {
    const auto branch = [](const ShiftedProjection& from, torch::Tensor* z) -> Branch<scalar_t> {
      return {from.shift, from.projection.weight.data_ptr<scalar_t>(),
              data_or_null<scalar_t>(from.projection.bias),
              z == nullptr ? nullptr : z->data_ptr<scalar_t>()};
    };
    forward_kernel<scalar_t>(e, x.data_ptr<scalar_t>(), {branch(first, z1), branch(second, z2)},
                             y.data_ptr<scalar_t>());
  });
  return y;
}

class ShiftedSumFunction : public torch::autograd::Function<ShiftedSumFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               AxialShift shift1, const torch::Tensor& weight1,
                               const c10::optional<torch::Tensor>& bias1, AxialShift shift2,
                               const torch::Tensor& weight2,
                               const c10::optional<torch::Tensor>& bias2) {
    const ShiftedProjection first{shift1, {weight1, bias1.value_or(torch::Tensor())}};
    const ShiftedProjection second{shift2, {weight2, bias2.value_or(torch::Tensor())}};
    torch::Tensor z1, z2;
    const auto y = run_forward(x, first, second, &z1, &z2);
    context->save_for_backward(
        {x, weight1, first.projection.bias, weight2, second.projection.bias, z1, z2});
    context->saved_data["first"] = pack_shift(shift1);
    context->saved_data["second"] = pack_shift(shift2);
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const ShiftedProjection first{unpack_shift(context->saved_data["first"]), {saved[1], saved[2]}};
    const ShiftedProjection second{unpack_shift(context->saved_data["second"]),
                                   {saved[3], saved[4]}};
    if (at::GradMode::is_enabled()) {
      const auto d =
          differentiable_gradients({eager_shifted_sum(x, first, second)},
                                   {x, saved[1], saved[2], saved[3], saved[4]}, {d_outputs[0]});
      return {d[0], {}, d[1], d[2], {}, d[3], d[4]};
    }
    const SerialBlas serial;
    const auto dy = d_outputs[0].contiguous();
    const SumExtents e = sum_extents_of(x, saved[1]);
    const int64_t slices = slice_count(e.rows(), 64);
    const ProjectionGradient gradients[]{{slices, e.out, e.in, x.options()},
                                         {slices, e.out, e.in, x.options()}};
    torch::Tensor dx, d_shifted1, d_shifted2;
    if (context->needs_input_grad(0)) {
      dx = torch::empty_like(x), d_shifted1 = torch::empty_like(x);
      d_shifted2 = torch::empty_like(x);
    }
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "shifted_sum_backward", [&] {
      const auto pointer = [](const torch::Tensor& tensor) {
        return tensor.defined() ? tensor.data_ptr<scalar_t>() : nullptr;
      };
      backward_kernel<scalar_t>(
          e, slices, x.data_ptr<scalar_t>(),
          {{first.shift, saved[1].data_ptr<scalar_t>(), nullptr, saved[5].data_ptr<scalar_t>()},
           {second.shift, saved[3].data_ptr<scalar_t>(), nullptr, saved[6].data_ptr<scalar_t>()}},
          dy.data_ptr<scalar_t>(), {pointer(d_shifted1), pointer(d_shifted2)}, pointer(dx),
          gradients);
    });
    return {dx,
            {},
            gradients[0].weight(),
            saved[2].defined() ? gradients[0].bias() : torch::Tensor(),
            {},
            gradients[1].weight(),
            saved[4].defined() ? gradients[1].bias() : torch::Tensor()};
  }
};

}  // namespace

torch::Tensor fused_shifted_sum(const torch::Tensor& x, const ShiftedProjection& first,
                                const ShiftedProjection& second) {
  check_shift(x, first.shift);
  check_shift(x, second.shift);
  check_projection(x.sizes(), first.projection.weight, first.projection.bias);
  check_projection(x.sizes(), second.projection.weight, second.projection.bias);
  require(first.projection.weight.size(0) == second.projection.weight.size(0),
          ErrorCode::kInvalidArgument, "shifted sum: {} and {} channels cannot be added",
          first.projection.weight.size(0), second.projection.weight.size(0));
  const auto a = dense(first.projection), b = dense(second.projection);
  if (x.numel() == 0 || !projection_fits({x, a.weight, a.bias, b.weight, b.bias})) {
    return eager_shifted_sum(x, first, second);
  }
  const auto rows = x.contiguous();
  if (needs_gradient({x, a.weight, a.bias, b.weight, b.bias})) {
    return ShiftedSumFunction::apply(rows, first.shift, a.weight, optional(a.bias), second.shift,
                                     b.weight, optional(b.bias));
  }
  return run_forward(rows, {first.shift, a}, {second.shift, b}, nullptr, nullptr);
}

torch::Tensor eager_shifted_sum(const torch::Tensor& x, const ShiftedProjection& first,
                                const ShiftedProjection& second) {
  const auto branch = [&](const ShiftedProjection& b) {
    return eager_linear(axial_shift(x, b.shift), b.projection.weight, b.projection.bias,
                        Activation::kGelu);
  };
  return branch(first) + branch(second);
}

}  // namespace asmlp::nn
