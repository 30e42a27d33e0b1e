#include <cblas.h>
#include <dlfcn.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"
#include "asmlp/torch/nn/functional-inl.h"
#include "asmlp/torch/nn/functional.h"

namespace asmlp::nn {
namespace {

// C[m x n] = op(A) op(B) + beta C, row-major, op(A) is m x k.
void gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int64_t m, int64_t n, int64_t k, const float* a,
          int64_t lda, const float* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  cblas_sgemm(CblasRowMajor, ta, tb, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k),
              1.0f, a, static_cast<int>(lda), b, static_cast<int>(ldb), beta, c,
              static_cast<int>(ldc));
}
void gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int64_t m, int64_t n, int64_t k, const double* a,
          int64_t lda, const double* b, int64_t ldb, double beta, double* c, int64_t ldc) {
  cblas_dgemm(CblasRowMajor, ta, tb, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k),
              1.0, a, static_cast<int>(lda), b, static_cast<int>(ldb), beta, c,
              static_cast<int>(ldc));
}

// The rows are spread over LibTorch's threads here; OpenBLAS must not split each block once more
// over threads of its own. Other BLAS libraries notice by themselves that they run in a parallel
// region.
void keep_blas_single_threaded() {
  static std::once_flag once;
  std::call_once(once, [] {
    using SetThreads = void (*)(int);
    if (auto* set = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) {
      set(1);
    }
  });
}

struct Extents {
  int64_t rows = 0;
  int64_t in = 0;
  int64_t out = 0;
  // Rows whose input, output and gradient fill about 256 KB of cache in fp32, but enough of them to
  // pay for packing the weights anew (in x out elements against rows x (in + out) of work moved).
  int64_t block() const {
    return std::max({int64_t{64}, (int64_t{1} << 16) / (in + 2 * out), in * out / 2048});
  }
};

template <typename T>
void forward_kernel(const Extents& e, const T* x, const T* weight, const T* bias, T* z, T* y,
                    Activation activation) {
  const int64_t block = e.block();
  at::parallel_for(0, e.rows, block, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row += block) {
      const int64_t rows = std::min(block, end - row);
      T* z_block = z + row * e.out;
      fill_pixels(z_block, rows, e.out, bias);
      gemm(CblasNoTrans, CblasTrans, rows, e.out, e.in, x + row * e.in, e.in, weight, e.in, T(1),
           z_block, e.out);
      if (activation == Activation::kGelu) gelu(z_block, y + row * e.out, rows * e.out);
    }
  });
}

// dz = dy activation'(z); dx = dz W (unless null); each slice of the rows has its own dW = dz^T x
// and db = sum dz, slices x out x in and slices x out.
template <typename T>
void backward_kernel(const Extents& e, int64_t slices, const T* x, const T* weight, const T* z,
                     const T* dy, T* dx, T* d_weight, T* d_bias, Activation activation) {
  const int64_t block = e.block();
  at::parallel_for(0, slices, 1, [&](int64_t first, int64_t last) {
    std::vector<T> buffer;
    for (int64_t slice = first; slice < last; ++slice) {
      T* slice_weight = d_weight + slice * e.out * e.in;
      T* slice_bias = d_bias + slice * e.out;
      const int64_t begin = e.rows * slice / slices;
      const int64_t end = e.rows * (slice + 1) / slices;
      std::fill_n(slice_bias, e.out, T(0));
      for (int64_t row = begin; row < end; row += block) {
        const int64_t rows = std::min(block, end - row);
        const T* dz = dy + row * e.out;
        if (activation == Activation::kGelu) {
          buffer.resize(rows * e.out);
          gelu_backward(z + row * e.out, dz, buffer.data(), rows * e.out);
          dz = buffer.data();
        }
        add_columns(dz, rows, e.out, slice_bias);
        gemm(CblasTrans, CblasNoTrans, e.out, e.in, rows, dz, e.out, x + row * e.in, e.in,
             T(row == begin ? 0 : 1), slice_weight, e.in);
        if (dx != nullptr) {
          gemm(CblasNoTrans, CblasNoTrans, rows, e.in, e.out, dz, e.out, weight, e.in, T(0),
               dx + row * e.in, e.in);
        }
      }
    }
  });
}

template <typename T>
const T* data_or_null(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<T>() : nullptr;
}

// Returns y; z receives what the activation was applied to (y itself without one). When nobody will
// ask for z again, `keep_z` false lets the activation overwrite it.
torch::Tensor run_forward(const torch::Tensor& x, const torch::Tensor& weight,
                          const torch::Tensor& bias, Activation activation, bool keep_z,
                          torch::Tensor* z) {
  keep_blas_single_threaded();
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
      auto result = differentiable_gradients(composed_linear(x, weight, bias, activation),
                                             {x, weight, bias}, gradients[0]);
      result.emplace_back();
      return result;
    }
    const auto dy = gradients[0].contiguous();
    const Extents e{x.numel() / x.size(-1), x.size(-1), weight.size(0)};
    const int64_t slices = std::clamp<int64_t>(e.rows / e.block(), 1, at::get_num_threads());
    const auto dx = context->needs_input_grad(0) ? torch::empty_like(x) : torch::Tensor();
    const auto d_weight = torch::empty({slices, e.out, e.in}, x.options());
    const auto d_bias = torch::empty({slices, e.out}, x.options());
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "linear_backward", [&] {
      backward_kernel<scalar_t>(
          e, slices, x.data_ptr<scalar_t>(), weight.data_ptr<scalar_t>(), data_or_null<scalar_t>(z),
          dy.data_ptr<scalar_t>(), dx.defined() ? dx.data_ptr<scalar_t>() : nullptr,
          d_weight.data_ptr<scalar_t>(), d_bias.data_ptr<scalar_t>(), activation);
    });
    const auto total = [&](const torch::Tensor& parts) {
      return slices == 1 ? parts[0] : parts.sum(0);
    };
    return {dx, total(d_weight), bias.defined() ? total(d_bias) : torch::Tensor(), {}};
  }
};

}  // namespace

torch::Tensor fused_linear(const torch::Tensor& x, const torch::Tensor& weight,
                           const torch::Tensor& bias, Activation activation) {
  require(x.dim() > 0 && weight.dim() >= 2 && weight.numel() == weight.size(0) * weight.size(1) &&
              x.size(-1) == weight.size(1) && weight.size(1) > 0 &&
              (!bias.defined() || bias.numel() == weight.size(0)),
          ErrorCode::kInvalidArgument, "linear: input {} does not fit the weight {}",
          to_string(Shape(x.sizes().begin(), x.sizes().end())),
          to_string(Shape(weight.sizes().begin(), weight.sizes().end())));
  const auto matrix = weight.dim() == 2 ? weight : weight.flatten(1);
  if (x.numel() == 0 || !kernel_fits({x, matrix, bias})) {
    return composed_linear(x, matrix, bias, activation);
  }
  const auto dense = x.contiguous();
  if (needs_gradient({x, matrix, bias})) {
    // An undefined tensor is no valid argument of an autograd function, an empty optional is.
    return LinearFunction::apply(
        dense, matrix.contiguous(),
        bias.defined() ? c10::make_optional(bias.contiguous()) : c10::nullopt, activation);
  }
  torch::Tensor z;
  return run_forward(dense, matrix.contiguous(), bias, activation, /*keep_z=*/false, &z);
}

torch::Tensor composed_linear(const torch::Tensor& x, const torch::Tensor& weight,
                              const torch::Tensor& bias, Activation activation) {
  const auto matrix = weight.dim() == 2 ? weight : weight.flatten(1);
  return activate(bias.defined() ? torch::linear(x, matrix, bias) : torch::linear(x, matrix),
                  activation);
}

}  // namespace asmlp::nn
