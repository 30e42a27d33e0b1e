// The matrix products of the training kernels, each on the calling thread: fp32 on the tiles of the
// engine (asmlp/kernels), which come nearer to the machine's peak on these shapes than OpenBLAS
// does; fp64, and fp32 on machines without such tiles, on the BLAS library. T is float or double;
// matrices are row-major.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

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

// The right factor B (depth x cols) of many products, in the order in which tiles read it.
template <typename T>
class PackedWeights {
 public:
  // Element (k, j) of B is values[k * cols + j], or values[j * depth + k] when `transposed`. The
  // values must live as long as this. Before the first product every panel must be packed.
  PackedWeights(const T* values, int64_t depth, int64_t cols, bool transposed);

  // Parts that can be packed independently, by any thread.
  int64_t panels() const { return panels_; }
  void pack(int64_t begin, int64_t end);
  // Multiply-adds per row and panel: what a thread should have enough of.
  int64_t panel_elements() const { return depth_ * width_; }

  // C = A B + bias (null: none), or C = C + A B with `add` (bias is not used then). A is rows x
  // depth, its rows lda elements apart; C is rows x cols, dense.
  void multiply(const T* a, int64_t lda, int64_t rows, const T* bias, T* c, bool add = false) const;

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  const T* values_;
  int64_t depth_, cols_, panels_ = 0, width_ = 0;
  bool transposed_;
  std::unique_ptr<T, Free> packed_;  // panels of depth x width
};

// C = A^T B, or C + A^T B with `add`: A is depth x rows (lda between its rows), B is depth x cols
// (ldb), C is rows x cols (ldc). `scratch` is memory that calls of one thread may share.
template <typename T>
void multiply_transposed(const T* a, int64_t lda, const T* b, int64_t ldb, int64_t depth,
                         int64_t rows, int64_t cols, T* c, int64_t ldc, bool add,
                         std::vector<T>& scratch);

}  // namespace asmlp::nn
