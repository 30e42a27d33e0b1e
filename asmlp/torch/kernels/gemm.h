// The matrix products of the training kernels, each on the calling thread: fp32 on the tiles of the
// engine (asmlp/kernels), which come nearer to the machine's peak on these shapes than OpenBLAS
// does; bf16 on its tiles of AMX (bf16_gemm.h); fp64, and fp32 on machines without such tiles, on
// the BLAS library. P is float or double, or Bf16 where bf16_panels() says so; weights, biases and
// results are of Arithmetic<P> (kernels.h). Matrices are row-major.
#pragma once

#include <cstdint>
#include <vector>

#include "asmlp/torch/kernels/aligned_array.h"
#include "asmlp/torch/kernels/kernels.h"

namespace asmlp::nn {

// While one of these lives OpenBLAS keeps to the calling thread: rows are spread over LibTorch's
// threads, and must not be split once more. Afterwards it has the threads it had, which LibTorch's
// own products rely on.
class SerialBlas {
 public:
  SerialBlas();
  ~SerialBlas();
  SerialBlas(const SerialBlas&) = delete;
  SerialBlas& operator=(const SerialBlas&) = delete;

 private:
  int threads_;
};

// How the weights of a product of fp32 rows are read: as they are, or to the nearest bf16, as a
// product of bf16 numbers would.
enum class WeightRounding { kNone, kBf16 };

// The right factor B (depth x cols) of many products and what they add, in the order in which tiles
// read it.
template <typename P>
class PackedWeights {
 public:
  // Element (k, j) of B is values[k * cols + j], or values[j * depth + k] when `transposed`; bias
  // has `cols` values or is null. Both must live as long as this. Before the first product every
  // panel must be packed.
  PackedWeights(const P* values, int64_t depth, int64_t cols, bool transposed,
                const P* bias = nullptr, WeightRounding rounding = WeightRounding::kNone);

  // Parts that can be packed independently, by any thread.
  int64_t panels() const { return panels_; }
  void pack(int64_t begin, int64_t end);
  // Multiply-adds per row and panel: what a thread should have enough of.
  int64_t panel_elements() const { return depth_ * width_; }

  // C = A B + bias, or C = C + A B with `add`. A is rows x depth, its rows lda elements apart; C is
  // rows x cols, dense.
  void multiply(const P* a, int64_t lda, int64_t rows, P* c, bool add = false) const;

 private:
  const P *values_, *bias_;
  int64_t depth_, cols_, panels_ = 0, width_ = 0;
  bool transposed_, rounds_;
  AlignedArray<P> packed_;  // panels of depth x width
  std::vector<P> rounded_;  // values, for the BLAS library
};

// C = A^T B, or C + A^T B with `add`: A is depth x rows (lda between its rows), B is depth x cols
// (ldb), C is rows x cols (ldc).
template <typename P>
void multiply_transposed(const P* a, int64_t lda, const P* b, int64_t ldb, int64_t depth,
                         int64_t rows, int64_t cols, Arithmetic<P>* c, int64_t ldc, bool add);

}  // namespace asmlp::nn
