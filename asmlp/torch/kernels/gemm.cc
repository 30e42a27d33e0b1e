#include "asmlp/torch/kernels/gemm.h"

#include <cblas.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "asmlp/core/aligned.h"
#include "asmlp/core/cpu.h"
#include "asmlp/kernels/kernels.h"
#include "asmlp/kernels/vectorized-inl.h"
#include "asmlp/torch/kernels/scratch.h"

namespace asmlp::nn {
namespace {

// A panel's part for one pass over the rows stays in the L1 cache (32 kB and more).
constexpr int64_t kPassFloats = 48 * 1024 / sizeof(float);
// Of a product of a transposed matrix there is the strip of A too, read anew for every panel.
constexpr int64_t kTransposedFloats = 24 * 1024 / sizeof(float);

// Null where the machine has only the portable tiles, which no BLAS library is slower than.
const KernelSet* tile_kernels() {
  static const KernelSet* const kernels = [] {
    const Isa isa = default_isa();
    return isa >= Isa::kAvx2 ? &kernel_set(isa, Precision::kFp32) : nullptr;
  }();
  return kernels;
}

template <typename T>
bool on_tiles() {
  return std::is_same_v<T, float> && tile_kernels() != nullptr;
}

void blas(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int64_t m, int64_t n, int64_t k, const float* a,
          int64_t lda, const float* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  cblas_sgemm(CblasRowMajor, ta, tb, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k),
              1.0f, a, static_cast<int>(lda), b, static_cast<int>(ldb), beta, c,
              static_cast<int>(ldc));
}
void blas(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int64_t m, int64_t n, int64_t k, const double* a,
          int64_t lda, const double* b, int64_t ldb, double beta, double* c, int64_t ldc) {
  cblas_dgemm(CblasRowMajor, ta, tb, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k),
              1.0, a, static_cast<int>(lda), b, static_cast<int>(ldb), beta, c,
              static_cast<int>(ldc));
}

// `rows` of C in as few tiles as possible that are as even as possible; a tile's rows of A are
// a_step elements apart.
void run_tiles(const TileKernel* kernels, int64_t tile_rows, int64_t rows, int64_t a_step,
               TileArgs args, TileStart start) {
  const int64_t tiles = (rows + tile_rows - 1) / tile_rows;
  const int64_t height = rows / tiles, taller = rows % tiles;
  // What comes behind this part of B in memory, fetched by all tiles together.
  args.next_step /= tiles;
  if (taller > 0) {
    args.tiles = taller;
    kernels[height + 1](args, start);
    args.next += taller * (args.depth / 2) * args.next_step;
    args.a = static_cast<const float*>(args.a) + taller * (height + 1) * a_step;
    args.c += taller * (height + 1) * args.ldc;
  }
  args.tiles = tiles - taller;
  kernels[height](args, start);
}

constexpr float kNoBias[64] = {};

// A column of tiles whose C has fewer columns than a tile: computed beside C and copied.
class PartialColumns {
 public:
  PartialColumns(Scratch& scratch, float* c, int64_t ldc, int64_t rows, int64_t cols, int64_t width,
                 bool load)
      : c_(c),
        ldc_(ldc),
        rows_(rows),
        cols_(cols),
        width_(width),
        values_(scratch.take<float>(rows * width)) {
    if (!load) return;
    for (int64_t r = 0; r < rows; ++r) {
      std::fill(std::copy_n(c + r * ldc, cols, values_ + r * width), values_ + (r + 1) * width,
                0.0f);
    }
  }
  float* data() { return values_; }
  void store() const {
    for (int64_t r = 0; r < rows_; ++r) std::copy_n(values_ + r * width_, cols_, c_ + r * ldc_);
  }

 private:
  float* c_;
  int64_t ldc_, rows_, cols_, width_;
  float* values_;
};

void multiply_tiles(const float* packed, int64_t depth, int64_t cols, const float* a, int64_t lda,
                    int64_t rows, const float* bias, float* c, bool add) {
  const KernelSet& kernels = *tile_kernels();
  const int64_t width = kernels.tile_cols;
  const int64_t passes = std::max<int64_t>(1, (depth * width + kPassFloats - 1) / kPassFloats);
  float padded_bias[64] = {};
  for (int64_t j = 0; j < cols; j += width) {
    const int64_t used = std::min(width, cols - j);
    const bool whole = used == width;
    Scratch scratch;
    PartialColumns partial(scratch, c + j, cols, whole ? 0 : rows, used, width, add);
    TileArgs args{};
    args.lda = lda;
    args.ldc = whole ? cols : width;
    if (bias != nullptr && !whole) std::copy_n(bias + j, used, padded_bias);
    args.bias = bias == nullptr ? kNoBias : whole ? bias + j : padded_bias;
    for (int64_t pass = 0; pass < passes; ++pass) {
      const int64_t begin = depth * pass / passes, end = depth * (pass + 1) / passes;
      args.depth = end - begin;
      args.a = a + begin;
      args.b = packed + j * depth + begin * width;
      args.c = whole ? c + j : partial.data();
      args.next = reinterpret_cast<const std::byte*>(packed + j * depth + end * width);
      args.next_step = 2 * width * int64_t{sizeof(float)};
      run_tiles(kernels.tiles, kernels.tile_rows, rows, lda, args,
                add || pass > 0 ? TileStart::kAccumulate : TileStart::kBias);
    }
    if (!whole) partial.store();
  }
}

// `count` values from each of `depth` rows, ld apart, one row behind the other. `room` values of
// each row may be read.
void pack_rows(const float* from, int64_t ld, int64_t depth, int64_t count, int64_t room,
               float* to) {
  // Whole vectors are copied, the surplus overwritten by the row that follows; the last rows, whose
  // surplus would lie behind the arrays, value by value.
  const int64_t vector = count <= 8 ? 8 : 16;
  const int64_t whole = count > 16 ? 0 : room >= vector ? depth : depth - 1;
  run_vectorized([=]() ASMLP_INLINE {
    const float* in = from;
    float* out = to;
    int64_t k = 0;
    if (vector == 8) {
      for (; k < whole; ++k, in += ld, out += count) std::memcpy(out, in, 8 * sizeof(float));
    } else {
      for (; k < whole; ++k, in += ld, out += count) std::memcpy(out, in, 16 * sizeof(float));
    }
    for (; k < depth; ++k, in += ld, out += count) {
      for (int64_t i = 0; i < count; ++i) out[i] = in[i];
    }
  });
}

// Columns j .. j + used of B, `width` apart, the rest of each row zero.
void pack_panel(const float* b, int64_t ldb, int64_t depth, int64_t used, int64_t width,
                float* to) {
  run_vectorized([=]() ASMLP_INLINE {
    const float* in = b;
    float* out = to;
    if (used == 32 && width == 32) {
      for (int64_t k = 0; k < depth; ++k, in += ldb, out += 32) {
        std::memcpy(out, in, 32 * sizeof(float));
      }
    } else if (used == 16 && width == 16) {
      for (int64_t k = 0; k < depth; ++k, in += ldb, out += 16) {
        std::memcpy(out, in, 16 * sizeof(float));
      }
    } else {
      for (int64_t k = 0; k < depth; ++k, in += ldb, out += width) {
        for (int64_t i = 0; i < used; ++i) out[i] = in[i];
        for (int64_t i = used; i < width; ++i) out[i] = 0;
      }
    }
  });
}

// Both factors are packed: in place, the few values of a row that a tile reads would be spread over
// as many cache lines and, with the usual powers of two between them, few cache sets.
void multiply_transposed_tiles(const float* a, int64_t lda, const float* b, int64_t ldb,
                               int64_t depth, int64_t rows, int64_t cols, float* c, int64_t ldc,
                               bool add) {
  const KernelSet& kernels = *tile_kernels();
  const int64_t width = kernels.tile_cols;
  const int64_t passes =
      std::max<int64_t>(1, (depth * width + kTransposedFloats - 1) / kTransposedFloats);
  const int64_t longest = (depth + passes - 1) / passes;
  // The tiles of C: the first `taller` of them have height + 1 rows.
  const int64_t tiles = (rows + kernels.tile_rows - 1) / kernels.tile_rows;
  const int64_t height = rows / tiles, taller = rows % tiles;
  // Behind A there is room for the surplus of its last copy.
  Scratch scratch;
  float* const panel = scratch.take<float>(longest * width);
  float* const strips = scratch.take<float>(longest * rows + 32);
  for (int64_t pass = 0; pass < passes; ++pass) {
    const int64_t begin = depth * pass / passes, count = depth * (pass + 1) / passes - begin;
    const bool sums = add || pass > 0;
    for (int64_t t = 0, r = 0; t < tiles; ++t) {
      const int64_t tall = height + (t < taller ? 1 : 0);
      pack_rows(a + begin * lda + r, lda, count, tall, rows - r, strips + r * count);
      r += tall;
    }
    for (int64_t j = 0; j < cols; j += width) {
      const int64_t used = std::min(width, cols - j);
      const bool whole = used == width;
      pack_panel(b + begin * ldb + j, ldb, count, used, width, panel);
      Scratch aside;
      PartialColumns partial(aside, c + j, ldc, whole ? 0 : rows, used, width, sums);
      TileArgs args{};
      args.b = panel;
      args.bias = kNoBias;
      args.ldc = whole ? ldc : width;
      args.depth = count;
      args.tiles = 1;
      for (int64_t t = 0, r = 0; t < tiles; ++t) {
        const int64_t tall = height + (t < taller ? 1 : 0);
        args.a = strips + r * count;
        args.lda = tall;
        args.c = (whole ? c + j : partial.data()) + r * args.ldc;
        args.next = reinterpret_cast<const std::byte*>(strips + (r + tall) * count);
        args.next_step = 2 * tall * int64_t{sizeof(float)};
        kernels.transposed_tiles[tall](args, sums ? TileStart::kAccumulate : TileStart::kBias);
        r += tall;
      }
      if (!whole) partial.store();
    }
  }
}

// A 4 x 4 part of a matrix, transposed.
void transpose4(const float* in, int64_t ld_in, float* out, int64_t ld_out) {
  using Quad = float __attribute__((vector_size(16), aligned(4), may_alias));
  using Index = int32_t __attribute__((vector_size(16)));
  const auto row = [&](int64_t q) { return *reinterpret_cast<const Quad*>(in + q * ld_in); };
  const Quad low01 = __builtin_shuffle(row(0), row(1), Index{0, 4, 1, 5});
  const Quad high01 = __builtin_shuffle(row(0), row(1), Index{2, 6, 3, 7});
  const Quad low23 = __builtin_shuffle(row(2), row(3), Index{0, 4, 1, 5});
  const Quad high23 = __builtin_shuffle(row(2), row(3), Index{2, 6, 3, 7});
  const auto store = [&](int64_t i, Quad values) {
    *reinterpret_cast<Quad*>(out + i * ld_out) = values;
  };
  store(0, __builtin_shuffle(low01, low23, Index{0, 1, 4, 5}));
  store(1, __builtin_shuffle(low01, low23, Index{2, 3, 6, 7}));
  store(2, __builtin_shuffle(high01, high23, Index{0, 1, 4, 5}));
  store(3, __builtin_shuffle(high01, high23, Index{2, 3, 6, 7}));
}

// Columns of B that are rows of `values`, `used` of them, into a panel.
void pack_transposed(const float* values, int64_t depth, int64_t used, int64_t width, float* out) {
  constexpr int64_t kBlock = 64;  // of k: enough of a column for the processor to read ahead
  if (used < width) std::fill_n(out, depth * width, 0.0f);
  for (int64_t k = 0; k < depth; k += kBlock) {
    const int64_t end = std::min(k + kBlock, depth);
    int64_t j = 0;
    for (; j + 4 <= used; j += 4) {
      const float* from = values + j * depth;
      int64_t i = k;
      for (; i + 4 <= end; i += 4) transpose4(from + i, depth, out + i * width + j, width);
      for (; i < end; ++i) {
        for (int64_t q = 0; q < 4; ++q) out[i * width + j + q] = from[q * depth + i];
      }
    }
    for (; j < used; ++j) {
      const float* from = values + j * depth;
      for (int64_t i = k; i < end; ++i) out[i * width + j] = from[i];
    }
  }
}

// OpenBLAS's own functions, where that is the BLAS library; LibTorch may run on another.
using SetThreads = void (*)(int);
using GetThreads = int (*)();
SetThreads set_threads() {
  static const auto function =
      reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  return function;
}
GetThreads get_threads() {
  static const auto function =
      reinterpret_cast<GetThreads>(dlsym(RTLD_DEFAULT, "openblas_get_num_threads"));
  return function;
}

}  // namespace

SerialBlas::SerialBlas() : threads_(get_threads() == nullptr ? 0 : get_threads()()) {
  if (threads_ > 1) set_threads()(1);
}

SerialBlas::~SerialBlas() {
  if (threads_ > 1) set_threads()(threads_);
}

template <typename P>
PackedWeights<P>::PackedWeights(const P* values, int64_t depth, int64_t cols, bool transposed,
                                const P* bias, WeightRounding rounding)
    : values_(values),
      bias_(bias),
      depth_(depth),
      cols_(cols),
      transposed_(transposed),
      rounds_(rounding == WeightRounding::kBf16) {
  if (!on_tiles<P>()) {
    if constexpr (std::is_same_v<P, float>) {
      if (!rounds_) return;
      rounded_.resize(depth * cols);
      round_to_bf16(values, rounded_.data(), depth * cols);
      values_ = rounded_.data();
    }
    return;
  }
  width_ = tile_kernels()->tile_cols;
  panels_ = (cols + width_ - 1) / width_;
  packed_ = make_aligned<P>(panels_ * panel_elements());
}

template <typename P>
void PackedWeights<P>::pack([[maybe_unused]] int64_t begin, [[maybe_unused]] int64_t end) {
  if constexpr (std::is_same_v<P, float>) {  // the others have no panels
    for (int64_t panel = begin; panel < end; ++panel) {
      float* out = packed_.get() + panel * panel_elements();
      const int64_t first = panel * width_, used = std::min(width_, cols_ - first);
      if (transposed_) {
        pack_transposed(values_ + first * depth_, depth_, used, width_, out);
      } else {
        pack_panel(values_ + first, cols_, depth_, used, width_, out);
      }
      if (rounds_) round_to_bf16(out, out, panel_elements());
    }
  }
}

template <typename P>
void PackedWeights<P>::multiply(const P* a, int64_t lda, int64_t rows, P* c, bool add) const {
  if constexpr (std::is_same_v<P, float>) {
    if (packed_ != nullptr) {
      multiply_tiles(packed_.get(), depth_, cols_, a, lda, rows, bias_, c, add);
      return;
    }
  }
  const bool biased = !add && bias_ != nullptr;
  if (biased) {
    for (int64_t r = 0; r < rows; ++r) std::copy_n(bias_, cols_, c + r * cols_);
  }
  blas(CblasNoTrans, transposed_ ? CblasTrans : CblasNoTrans, rows, cols_, depth_, a, lda, values_,
       transposed_ ? depth_ : cols_, P(add || biased ? 1 : 0), c, cols_);
}

template <typename P>
void multiply_transposed(const P* a, int64_t lda, const P* b, int64_t ldb, int64_t depth,
                         int64_t rows, int64_t cols, Arithmetic<P>* c, int64_t ldc, bool add) {
  if constexpr (std::is_same_v<P, float>) {
    if (on_tiles<P>()) {
      multiply_transposed_tiles(a, lda, b, ldb, depth, rows, cols, c, ldc, add);
      return;
    }
  }
  blas(CblasTrans, CblasNoTrans, rows, cols, depth, a, lda, b, ldb, P(add ? 1 : 0), c, ldc);
}

#define ASMLP_INSTANTIATE(P)                                                                   \
  template class PackedWeights<P>;                                                             \
  template void multiply_transposed<P>(const P*, int64_t, const P*, int64_t, int64_t, int64_t, \
                                       int64_t, P*, int64_t, bool);
ASMLP_INSTANTIATE(float)
ASMLP_INSTANTIATE(double)

}  // namespace asmlp::nn
