#include "asmlp/torch/ops/functional-inl.h"
#include "asmlp/torch/ops/functional.h"

namespace asmlp::nn {
namespace {

// body(n, begin, count) for every sample, the elements of which are split over the threads.
template <typename Body>
void for_samples(const torch::Tensor& x, const Body& body) {
  const int64_t samples = x.size(0), size = x.numel() / samples;
  at::parallel_for(0, x.numel(), at::internal::GRAIN_SIZE, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t n = begin / size, stop = std::min(end, (n + 1) * size);
      body(n, begin, stop - begin);
      begin = stop;
    }
  });
}

class AddFunction : public torch::autograd::Function<AddFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& branch, const torch::Tensor& scale) {
    context->save_for_backward({scale});
    auto y = torch::empty_like(x);
    dispatch_stored(x, [&](auto type) {
      using S = decltype(type);
      const S *in = stored<S>(x), *added = stored<S>(branch);
      const auto* factors = scale.data_ptr<Arithmetic<S>>();
      S* out = stored<S>(y);
      for_samples(x, [&](int64_t n, int64_t begin, int64_t count) {
        add_scaled(in + begin, added + begin, factors[n], out + begin, count);
      });
    });
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto scale = context->get_saved_variables()[0];
    if (at::GradMode::is_enabled()) {
      return {gradients[0], gradients[0] * per_sample(scale, gradients[0]), {}};
    }
    const auto dy = gradients[0].contiguous();
    const auto d_branch = torch::empty_like(dy);
    dispatch_stored(dy, [&](auto type) {
      using S = decltype(type);
      const S* d_out = stored<S>(dy);
      const auto* factors = scale.data_ptr<Arithmetic<S>>();
      S* d_in = stored<S>(d_branch);
      for_samples(dy, [&](int64_t n, int64_t begin, int64_t count) {
        nn::scale(d_out + begin, factors[n], d_in + begin, count);
      });
    });
    return {dy, d_branch, {}};
  }
};

}  // namespace

torch::Tensor fused_add(const torch::Tensor& x, const torch::Tensor& branch,
                        const torch::Tensor& scale) {
  require(x.dim() > 0 && x.sizes() == branch.sizes() &&
              (!scale.defined() || scale.numel() == x.size(0)),
          ErrorCode::kInvalidArgument, "add: {} and {} (with {} factors) do not fit",
          to_string(Shape(x.sizes().begin(), x.sizes().end())),
          to_string(Shape(branch.sizes().begin(), branch.sizes().end())),
          scale.defined() ? scale.numel() : 0);
  if (!scale.defined()) return x + branch;
  const auto factors =
      scale.detach().to(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).contiguous();
  if (x.numel() == 0 || !norm_fits(x, {factors}) || branch.scalar_type() != x.scalar_type()) {
    return eager_sum(x, branch, scale);
  }
  return AddFunction::apply(x.contiguous(), branch.contiguous(), factors);
}

}  // namespace asmlp::nn
