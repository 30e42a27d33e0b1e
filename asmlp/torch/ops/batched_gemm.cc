#include "asmlp/torch/ops/batched_gemm.h"

#include <cblas.h>

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"
#include "asmlp/torch/kernels/gemm.h"
#include "asmlp/torch/ops/functional-inl.h"

namespace asmlp::nn {
namespace {

void gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const float* a, int lda,
          const float* b, int ldb, float* c) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1.0f, a, lda, b, ldb, 0.0f, c, n);
}
void gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const double* a, int lda,
          const double* b, int ldb, double* c) {
  cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1.0, a, lda, b, ldb, 0.0, c, n);
}

// How BLAS reads the matrices of a B x H x rows x cols view, if it can.
struct Layout {
  bool readable = false;
  CBLAS_TRANSPOSE transposed = CblasNoTrans;
  int leading = 1;
};

Layout layout_of(const torch::Tensor& x) {
  const int64_t rows = x.size(2), cols = x.size(3), down = x.stride(2), right = x.stride(3);
  if (right == 1 && down >= cols) return {true, CblasNoTrans, static_cast<int>(down)};
  if (down == 1 && right >= rows) return {true, CblasTrans, static_cast<int>(right)};
  return {};
}

torch::Tensor readable(const torch::Tensor& x) {
  return layout_of(x).readable ? x : x.contiguous();
}

template <typename T>
void kernel(const torch::Tensor& a, const torch::Tensor& b, torch::Tensor& c) {
  const int m = static_cast<int>(a.size(2)), k = static_cast<int>(a.size(3));
  const int n = static_cast<int>(b.size(3));
  const Layout la = layout_of(a), lb = layout_of(b);
  const int64_t heads = a.size(1);
  const T *from_a = a.data_ptr<T>(), *from_b = b.data_ptr<T>();
  T* to = c.data_ptr<T>();
  // About a million multiply-adds for a thread, some tens of microseconds.
  const int64_t grain = std::max<int64_t>(1, (int64_t{1} << 20) / (int64_t{m} * n * k));
  const SerialBlas serial;
  at::parallel_for(0, a.size(0) * heads, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t batch = i / heads, head = i % heads;
      gemm(la.transposed, lb.transposed, m, n, k, from_a + batch * a.stride(0) + head * a.stride(1),
           la.leading, from_b + batch * b.stride(0) + head * b.stride(1), lb.leading,
           to + i * m * n);
    }
  });
}

torch::Tensor run(const torch::Tensor& left, const torch::Tensor& right) {
  const auto a = readable(left), b = readable(right);
  auto c = torch::empty({a.size(0), a.size(1), a.size(2), b.size(3)}, a.options());
  AT_DISPATCH_FLOATING_TYPES(a.scalar_type(), "batched_product",
                             [&] { kernel<scalar_t>(a, b, c); });
  return c;
}

class BatchedProduct : public torch::autograd::Function<BatchedProduct> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& a,
                               const torch::Tensor& b) {
    context->save_for_backward({a, b});
    return run(a, b);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto& d = gradients[0];
    return {context->needs_input_grad(0) ? batched_product(d, saved[1].transpose(2, 3))
                                         : torch::Tensor(),
            context->needs_input_grad(1) ? batched_product(saved[0].transpose(2, 3), d)
                                         : torch::Tensor()};
  }
};

}  // namespace

torch::Tensor batched_product(const torch::Tensor& a, const torch::Tensor& b) {
  require(a.dim() == 4 && b.dim() == 4 && a.size(0) == b.size(0) && a.size(1) == b.size(1) &&
              a.size(3) == b.size(2),
          ErrorCode::kInvalidArgument, "batched product: {} times {} does not fit",
          to_string(Shape(a.sizes().begin(), a.sizes().end())),
          to_string(Shape(b.sizes().begin(), b.sizes().end())));
  if (a.numel() == 0 || b.numel() == 0 || !kernel_fits({a, b})) return torch::matmul(a, b);
  return needs_gradient({a, b}) ? BatchedProduct::apply(a, b) : run(a, b);
}

}  // namespace asmlp::nn
