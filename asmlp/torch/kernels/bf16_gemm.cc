#include "asmlp/torch/kernels/bf16_gemm.h"

#include <algorithm>
#include <cstring>

#include "asmlp/core/aligned.h"
#include "asmlp/core/cpu.h"
#include "asmlp/kernels/gemm.h"
#include "asmlp/kernels/vectorized-inl.h"
#include "asmlp/torch/kernels/scratch.h"

// The panels of these kernels hold pairs of k: word (k / 2, j) is elements (k, j) and (k + 1, j),
// the first one in its lower half (packed_matrix.h with a depth_group of 2).
namespace asmlp::nn {
namespace {

constexpr int64_t kSide = 16;  // of what is transposed at a time, and of a tile's rows

const KernelSet* best_bf16_panels() {
#if defined(__x86_64__)
  if (default_isa() == Isa::kAvx512Amx) return &kernel_set(Isa::kAvx512Amx, Precision::kBf16);
#endif
  return nullptr;
}

const KernelSet*& bf16_panels_in_use() {
  static const KernelSet* kernels = best_bf16_panels();
  return kernels;
}

// `count` words of two rows: the one at `low` below the one at `high`.
ASMLP_INLINE inline void interleave(const Bf16* low, const Bf16* high, int64_t count,
                                    uint32_t* out) {
#pragma GCC ivdep
  for (int64_t j = 0; j < count; ++j) {
    out[j] = uint32_t{low[j].bits} | uint32_t{high[j].bits} << 16;
  }
}

using SixteenWords = uint32_t __attribute__((vector_size(64), aligned(4), may_alias));

// Exchanges the words of rows and columns whose numbers differ in the bit `step`.
template <uint32_t step>
ASMLP_INLINE inline void exchange(SixteenWords (&rows)[kSide]) {
  SixteenWords upper, lower;  // which words make up a row: of two rows, one behind the other
  for (uint32_t i = 0; i < kSide; ++i) {
    upper[i] = (i & step) == 0 ? i : kSide + i - step;
    lower[i] = (i & step) == 0 ? i + step : kSide + i;
  }
#pragma GCC unroll 16
  for (uint32_t r = 0; r < kSide; ++r) {
    if ((r & step) != 0) continue;
    const SixteenWords a = rows[r], b = rows[r + step];
    rows[r] = __builtin_shuffle(a, b, upper);
    rows[r + step] = __builtin_shuffle(a, b, lower);
  }
}

// A square of 16 x 16 words, transposed; `ld` in words. Rows from `used` on are not written.
ASMLP_INLINE inline void transpose_square(const uint32_t* in, int64_t ld_in, uint32_t* out,
                                          int64_t ld_out, int64_t used) {
  SixteenWords rows[kSide];
#pragma GCC unroll 16
  for (int64_t r = 0; r < kSide; ++r) {
    rows[r] = *reinterpret_cast<const SixteenWords*>(in + r * ld_in);
  }
  exchange<8>(rows), exchange<4>(rows), exchange<2>(rows), exchange<1>(rows);
  for (int64_t r = 0; r < used; ++r) {
    *reinterpret_cast<SixteenWords*>(out + r * ld_out) = rows[r];
  }
}

// Columns [0, used) of depth x ... bf16 into a panel of padded_depth x width, zero elsewhere.
void interleave_panel(const Bf16* b, int64_t ldb, int64_t depth, int64_t padded_depth, int64_t used,
                      int64_t width, uint32_t* panel) {
  run_vectorized([=]() ASMLP_INLINE {
    uint32_t* out = panel;
    int64_t k = 0;
    for (; k + 2 <= depth; k += 2, out += width) {
      const Bf16* row = b + k * ldb;
      if (used == 32) {
        interleave(row, row + ldb, 32, out);
      } else {
        interleave(row, row + ldb, used, out);
        std::fill(out + used, out + width, 0);
      }
    }
    if (k < depth) {
      const Bf16* row = b + k * ldb;
      for (int64_t j = 0; j < used; ++j) out[j] = row[j].bits;
      std::fill(out + used, out + width, 0);
      k += 2, out += width;
    }
    std::fill(out, out + (padded_depth - k) / 2 * width, 0);
  });
}

// A^T: rows x padded_depth (a multiple of 32) from depth x rows, zero behind the depth.
void transpose_rows(const Bf16* a, int64_t lda, int64_t depth, int64_t rows, int64_t padded_depth,
                    Bf16* out) {
  run_vectorized([=]() ASMLP_INLINE {
    for (int64_t r = 0; r < rows; r += kSide) {
      const int64_t used = std::min(kSide, rows - r);
      for (int64_t k = 0; k < padded_depth; k += 2 * kSide) {
        alignas(64) uint32_t words[kSide * kSide] = {};
        for (int64_t pair = 0; pair < kSide && k + 2 * pair < depth; ++pair) {
          const Bf16* row = a + (k + 2 * pair) * lda + r;
          uint32_t* to = words + pair * kSide;
          if (k + 2 * pair + 1 == depth) {
            for (int64_t j = 0; j < used; ++j) to[j] = row[j].bits;
          } else if (used == kSide) {
            interleave(row, row + lda, kSide, to);
          } else {
            interleave(row, row + lda, used, to);
          }
        }
        transpose_square(words, kSide, reinterpret_cast<uint32_t*>(out + r * padded_depth + k),
                         padded_depth / 2, used);
      }
    }
  });
}

// C of a product whose columns fill the panels is the caller's; another one is beside it.
class WholePanels {
 public:
  WholePanels(Scratch& scratch, float* c, int64_t ldc, int64_t rows, int64_t cols,
              int64_t padded_cols, bool load)
      : c_(c), ldc_(ldc), rows_(rows), cols_(cols), padded_cols_(padded_cols) {
    if (cols == padded_cols) return;
    values_ = scratch.take<float>(rows * padded_cols);
    if (!load) return;
    std::fill_n(values_, rows * padded_cols, 0.0f);
    for (int64_t r = 0; r < rows; ++r) {
      std::copy_n(c + r * ldc, cols, values_ + r * padded_cols);
    }
  }
  float* data() const { return values_ != nullptr ? values_ : c_; }
  int64_t ld() const { return values_ != nullptr ? padded_cols_ : ldc_; }
  void store() const {
    if (values_ == nullptr) return;
    for (int64_t r = 0; r < rows_; ++r) {
      std::copy_n(values_ + r * padded_cols_, cols_, c_ + r * ldc_);
    }
  }

 private:
  float *c_, *values_ = nullptr;
  int64_t ldc_, rows_, cols_, padded_cols_;
};

// Into C, whose columns need not fill the panels.
void run_gemm(const PackedMatrix& matrix, const void* a, int64_t lda, int64_t rows, float* c,
              int64_t ldc, bool add) {
  Scratch scratch;
  const int64_t panels = matrix.panels();
  const WholePanels whole(scratch, c, ldc, rows, matrix.cols(), panels * matrix.tile_cols(), add);
  gemm(matrix,
       {.a = a,
        .lda = lda,
        .c = whole.data(),
        .ldc = whole.ld(),
        .rows = rows,
        .panel_begin = 0,
        .panel_end = panels,
        .scratch = scratch.take<float>(gemm_scratch(matrix.kernels(), rows, matrix.depth()))},
       add ? TileStart::kAccumulate : TileStart::kBias, TileEnd::kStore);
  whole.store();
}

// Where a panel begins in the memory that the matrix was placed at.
uint32_t* words_of_panel(std::byte* memory, const PackedMatrix& matrix, int64_t panel) {
  return reinterpret_cast<uint32_t*>(memory + panel * matrix.padded_depth() * matrix.row_bytes());
}

}  // namespace

const KernelSet* bf16_panel_kernels() { return bf16_panels_in_use(); }
void use_bf16_panel_kernels(const KernelSet* kernels) { bf16_panels_in_use() = kernels; }

PackedWeights<Bf16>::PackedWeights(const float* values, int64_t depth, int64_t cols,
                                   bool transposed, const float* bias, WeightRounding)
    : values_(values), transposed_(transposed), matrix_(*bf16_panel_kernels(), cols, depth) {
  memory_ = make_aligned<std::byte>(matrix_.bytes());
  matrix_.place(memory_.get());
  const int64_t padded = matrix_.panels() * matrix_.tile_cols();
  std::vector<float> start(static_cast<size_t>(padded));
  if (bias != nullptr) std::copy_n(bias, cols, start.begin());
  matrix_.pack_bias(start);
}

void PackedWeights<Bf16>::pack(int64_t begin, int64_t end) {
  const int64_t depth = matrix_.depth(), padded_depth = matrix_.padded_depth();
  const int64_t width = matrix_.tile_cols(), cols = matrix_.cols();
  Scratch scratch;
  auto* rows = scratch.take<Bf16>(transposed_ ? width * padded_depth : depth * width);
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t first = panel * width, used = std::min(width, cols - first);
    uint32_t* out = words_of_panel(memory_.get(), matrix_, panel);
    if (!transposed_) {
      for (int64_t k = 0; k < depth; ++k) {
        convert(values_ + k * cols + first, rows + k * width, used);
      }
      interleave_panel(rows, width, depth, padded_depth, used, width, out);
      continue;
    }
    // Columns of B are rows of the values: pairs of k are words already.
    std::memset(rows, 0, static_cast<size_t>(width * padded_depth) * sizeof(Bf16));
    for (int64_t j = 0; j < used; ++j) {
      convert(values_ + (first + j) * depth, rows + j * padded_depth, depth);
    }
    const auto* words = reinterpret_cast<const uint32_t*>(rows);
    run_vectorized([=]() ASMLP_INLINE {
      for (int64_t j = 0; j < width; j += kSide) {
        for (int64_t pair = 0; pair < padded_depth / 2; pair += kSide) {
          transpose_square(words + j * (padded_depth / 2) + pair, padded_depth / 2,
                           out + pair * width + j, width, kSide);
        }
      }
    });
  }
}

void PackedWeights<Bf16>::multiply(const Bf16* a, int64_t lda, int64_t rows, float* c,
                                   bool add) const {
  const int64_t depth = matrix_.depth(), padded_depth = matrix_.padded_depth();
  Scratch scratch;
  if (depth != padded_depth) {
    auto* padded = scratch.take<Bf16>(rows * padded_depth);
    for (int64_t r = 0; r < rows; ++r) {
      std::fill(std::copy_n(a + r * lda, depth, padded + r * padded_depth),
                padded + (r + 1) * padded_depth, Bf16{0});
    }
    a = padded, lda = padded_depth;
  }
  run_gemm(matrix_, a, lda, rows, c, matrix_.cols(), add);
}

template <>
void multiply_transposed<Bf16>(const Bf16* a, int64_t lda, const Bf16* b, int64_t ldb,
                               int64_t depth, int64_t rows, int64_t cols, float* c, int64_t ldc,
                               bool add) {
  Scratch scratch;
  PackedMatrix matrix(*bf16_panel_kernels(), cols, depth);
  auto* memory = scratch.take<std::byte>(matrix.bytes());
  matrix.place(memory);
  const int64_t width = matrix.tile_cols(), padded_depth = matrix.padded_depth();
  for (int64_t panel = 0; panel < matrix.panels(); ++panel) {
    const int64_t first = panel * width;
    interleave_panel(b + first, ldb, depth, padded_depth, std::min(width, cols - first), width,
                     words_of_panel(memory, matrix, panel));
  }
  auto* no_bias = scratch.take<float>(matrix.panels() * width);
  std::fill_n(no_bias, matrix.panels() * width, 0.0f);
  matrix.pack_bias({no_bias, static_cast<size_t>(matrix.panels() * width)});
  auto* transposed = scratch.take<Bf16>(rows * padded_depth);
  transpose_rows(a, lda, depth, rows, padded_depth, transposed);
  run_gemm(matrix, transposed, padded_depth, rows, c, ldc, add);
}

}  // namespace asmlp::nn
