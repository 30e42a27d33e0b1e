// PackedWeights and multiply_transposed() of gemm.h for rows of bf16 numbers, with fp32 sums: on
// the kernels of the engine whose instruction takes bf16 faster than fp32 (AMX).
#pragma once

#include "asmlp/kernels/packed_matrix.h"
#include "asmlp/torch/kernels/gemm.h"

namespace asmlp::nn {

// The kernels, or null where fp32 products of widened bf16 numbers are not slower: without bf16
// instructions, and with AVX-512's, which have half the rate of its fp32 ones.
const KernelSet* bf16_panel_kernels();
// Whether products read rows of bf16 (P is Bf16); otherwise they read them as fp32.
inline bool bf16_panels() { return bf16_panel_kernels() != nullptr; }
// For tests: these kernels (null: none) instead of the machine's. Not while products are computed.
void use_bf16_panel_kernels(const KernelSet* kernels);

template <>
class PackedWeights<Bf16> {
 public:
  PackedWeights(const float* values, int64_t depth, int64_t cols, bool transposed,
                const float* bias = nullptr, WeightRounding rounding = WeightRounding::kBf16);
  int64_t panels() const { return matrix_.panels(); }
  void pack(int64_t begin, int64_t end);
  int64_t panel_elements() const { return matrix_.padded_depth() * matrix_.tile_cols(); }
  void multiply(const Bf16* a, int64_t lda, int64_t rows, float* c, bool add = false) const;

 private:
  const float* values_;
  bool transposed_;
  PackedMatrix matrix_;
  AlignedArray<std::byte> memory_;
};

template <>
void multiply_transposed<Bf16>(const Bf16* a, int64_t lda, const Bf16* b, int64_t ldb,
                               int64_t depth, int64_t rows, int64_t cols, float* c, int64_t ldc,
                               bool add);

}  // namespace asmlp::nn
