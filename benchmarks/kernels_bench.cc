// Parts of the engine by themselves, as fractions of the arithmetic peak measured beside them:
// products of the shapes that the published models have, with weights from the caches and from
// memory, and the elementwise kernels in cycles per vector of a core at that peak's clock. For sets
// with a gemm of their own (AMX) also what the ends of a product cost beside its tiles, and how the
// time of the tiles follows rows and depth.
//
//   cmake --preset release -DASMLP_BENCHMARKS=ON && cmake --build build --target
//   asmlp_kernels_bench build/bin/asmlp_kernels_bench        (ASMLP_ISA chooses the instruction
//   set)
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <vector>

#include "asmlp/core/arena.h"
#include "asmlp/kernels/gemm.h"
#include "asmlp/kernels/peak.h"

namespace asmlp {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// Fraction of the peak of C[rows x cols] = A[rows x depth] * W, with so many different W in turn
// that they fill `bytes`.
double product(const KernelSet& kernels, ThreadPool& pool, int64_t rows, int64_t depth,
               int64_t cols, int64_t bytes) {
  const PackedMatrix shape(kernels, cols, depth);
  const int64_t count = std::max<int64_t>(1, bytes / shape.bytes()), lda = depth + 32;
  std::byte *memory = nullptr, *a = nullptr;
  float *c = nullptr, *scratch = nullptr;
  Arena arena;
  arena.reserve(memory, count * shape.bytes());
  arena.reserve(a, rows * lda * 4);
  arena.reserve(c, rows * shape.panels() * kernels.tile_cols);
  arena.reserve(scratch, gemm_scratch(kernels, rows, depth));
  arena.allocate();
  std::vector<PackedMatrix> matrices(count, shape);
  for (int64_t i = 0; i < count; ++i) matrices[i].place(memory + i * shape.bytes());
  std::fill_n(memory, count * shape.bytes(), std::byte{1});  // tiny numbers, pages of their own
  std::vector<double> ratios;
  for (int repeat = 0; repeat < 15; ++repeat) {
    const double peak = measure_peak(kernels.isa, kernels.precision, pool, 0.005).flops;
    int64_t products = 0;
    const double begin = now();
    do {
      for (const PackedMatrix& matrix : matrices) {
        gemm(matrix,
             {.a = a,
              .lda = lda,
              .c = c,
              .ldc = shape.panels() * kernels.tile_cols,
              .rows = rows,
              .panel_begin = 0,
              .panel_end = shape.panels(),
              .scratch = scratch},
             TileStart::kBias, TileEnd::kStore);
      }
      products += count;
    } while (now() - begin < 0.01);
    ratios.push_back(2.0 * products * rows * depth * cols / (now() - begin) / peak);
  }
  return median(ratios);
}

// The clock of a core, from the fp32 peak: two FMAs a cycle are assumed.
double clock_now(const KernelSet& kernels, ThreadPool& pool) {
  const double lanes = kernels.tile_cols / 2.0;
  return measure_peak(kernels.isa, Precision::kFp32, pool, 0.002).flops / (4 * lanes);
}

// Core cycles per vector of `call`, which handles `vectors` of them.
template <typename Call>
void elementwise(const char* name, const KernelSet& kernels, ThreadPool& pool, int vectors,
                 const Call& call) {
  std::vector<double> cycles;
  for (int repeat = 0; repeat < 25; ++repeat) {
    const double clock = clock_now(kernels, pool);
    const double begin = now();
    for (int i = 0; i < 1000; ++i) call();
    cycles.push_back((now() - begin) * clock / 1000 / vectors);
  }
  std::printf("%-24s %6.2f cycles per vector\n", name, median(cycles));
}

// Core cycles of one gemm() over and over, in the caches.
double gemm_cycles(const KernelSet& kernels, ThreadPool& pool, int64_t rows, int64_t depth,
                   int64_t cols, TileStart start, TileEnd end) {
  PackedMatrix weight(kernels, cols, depth);
  const int64_t lda = depth + 32, ldc = weight.panels() * kernels.tile_cols + 16;
  std::byte *memory = nullptr, *a = nullptr;
  float *c = nullptr, *scratch = nullptr;
  Arena arena;
  arena.reserve(memory, weight.bytes());
  arena.reserve(a, rows * lda * 4);
  arena.reserve(c, rows * ldc);
  arena.reserve(scratch, gemm_scratch(kernels, rows, depth));
  arena.allocate();
  weight.place(memory);
  const GemmBlock block{.a = a,
                        .lda = lda,
                        .c = c,
                        .ldc = ldc,
                        .rows = rows,
                        .panel_begin = 0,
                        .panel_end = weight.panels(),
                        .scratch = scratch};
  std::vector<double> cycles;
  for (int repeat = 0; repeat < 15; ++repeat) {
    const double clock = clock_now(kernels, pool);
    int64_t count = 0;
    const double begin = now();
    for (; now() - begin < 0.003; ++count) gemm(weight, block, start, end);
    cycles.push_back((now() - begin) * clock / static_cast<double>(count));
  }
  return median(cycles);
}

// What stands between the products: every end of a product at the shapes of AS-MLP-T's stages, in
// cycles per 16 outputs, beside the least that the tile products take; then that time by rows.
void tile_blocks(const KernelSet& kernels, ThreadPool& pool) {
  struct End {
    const char* name;
    TileStart start;
    TileEnd end;
  };
  const End ends[] = {{"store", TileStart::kBias, TileEnd::kStore},
                      {"accumulate", TileStart::kAccumulate, TileEnd::kStore},
                      {"residual", TileStart::kBiasAccumulate, TileEnd::kStore},
                      {"GELU", TileStart::kBias, TileEnd::kGelu},
                      {"add GELU", TileStart::kBias, TileEnd::kAddGelu},
                      {"GELU to panel", TileStart::kBias, TileEnd::kGeluPanel}};
  const int times = kernels.precision == Precision::kBf16x3 ? 3 : 1;
  std::printf("\n%s gemm, cycles per 16 outputs by depth (224 rows, 384 columns)\n",
              to_string(kernels.precision));
  constexpr int64_t kDepths[] = {96, 192, 384, 768};
  std::printf("%-16s", "tiles alone");
  for (int64_t depth : kDepths) std::printf(" %7.1f", static_cast<double>(times * depth) / 32);
  for (const End& end : ends) {
    std::printf("\n%-16s", end.name);
    for (int64_t depth : kDepths) {
      const double cycles = gemm_cycles(kernels, pool, 224, depth, 384, end.start, end.end);
      std::printf(" %7.1f", cycles / (224 * 384 / 16.0));
    }
  }
  std::printf("\n\n%s gemm, cycles per row of a tile product (1.0 is the peak), 384 columns\n%-16s",
              to_string(kernels.precision), "rows");
  for (int64_t depth : kDepths) std::printf(" %7lld", static_cast<long long>(depth));
  for (int64_t rows : {4, 8, 16, 17, 24, 32, 49, 64, 98, 196}) {
    std::printf("\n%-16lld", static_cast<long long>(rows));
    for (int64_t depth : kDepths) {
      const double cycles =
          gemm_cycles(kernels, pool, rows, depth, 384, TileStart::kBias, TileEnd::kStore);
      std::printf(" %7.2f", cycles / static_cast<double>(rows * times * depth / 32 * 384 / 16));
    }
  }
  std::printf("\n");
}

// The elementwise kernels of a set by themselves, in L1.
void elementwise_kernels(const KernelSet& kernels, ThreadPool& pool) {
  const int cols = kernels.tile_cols, rows = 128, length = 384;
  float *x = nullptr, *y = nullptr, *ones = nullptr;
  Arena arena;
  arena.reserve(x, rows * cols + length);
  arena.reserve(y, rows * cols + length);
  arena.reserve(ones, length);
  arena.allocate();
  for (int i = 0; i < rows * cols; ++i) x[i] = static_cast<float>(i % 997) / 100 - 5;
  const NormArgs norm{ones, ones};
  const NormRows one_row{x, length, y, length, 1, length};
  std::printf("\n%s elementwise, in L1\n", to_string(kernels.precision));
  const TileView tile{x, cols, y, cols, rows, cols};
  elementwise("GELU", kernels, pool, rows * 2, [&] { kernels.gelu(tile); });
  elementwise("add GELU", kernels, pool, rows * 2, [&] { kernels.add_gelu(tile); });
  elementwise("GELU to panel", kernels, pool, rows * 2, [&] { kernels.gelu_panel(tile); });
  const int vectors = 2 * length / cols;
  elementwise("norm, 384 channels", kernels, pool, vectors,
              [&] { kernels.normalize(one_row, norm); });
  elementwise("norm to panel, 384", kernels, pool, vectors,
              [&] { kernels.normalize_panel(one_row, norm); });
  elementwise("norm + GELU, 384", kernels, pool, vectors,
              [&] { kernels.normalize_gelu_panel(one_row, norm); });
  elementwise("convert, 384", kernels, pool, vectors, [&] { kernels.convert_panel(x, y, length, {}); });
  RowStats stats[8];
  for (int64_t channels : {96, 384}) {
    elementwise(channels == 96 ? "row statistics, 8 x 96" : "row statistics, 8 x 384", kernels,
                pool, static_cast<int>(8 * 2 * channels / cols),
                [&] { kernels.row_stats(x, channels, 8, channels, stats); });
  }
}

void run() {
  ThreadPool pool(1);
  const Isa isa = default_isa();
  std::printf("%s, %s, 1 thread\n", cpu_name().c_str(), to_string(isa));
  for (Precision precision : {Precision::kFp32, Precision::kBf16}) {
    const KernelSet& kernels = kernel_set(isa, precision);
    std::printf("\n%s products: rows x depth x cols, weights in L2/L3, in memory\n",
                to_string(precision));
    const std::array<int64_t, 3> shapes[] = {{256, 96, 96},   {256, 96, 384},   {98, 384, 384},
                                             {98, 384, 1536}, {98, 1536, 384},  {49, 768, 768},
                                             {49, 768, 3072}, {49, 1024, 1024}, {12, 1024, 1024}};
    for (const auto& [rows, depth, cols] : shapes) {
      std::printf("%4lld x %4lld x %4lld  %5.1f %%  %5.1f %%\n", static_cast<long long>(rows),
                  static_cast<long long>(depth), static_cast<long long>(cols),
                  100 * product(kernels, pool, rows, depth, cols, 1 << 20),
                  100 * product(kernels, pool, rows, depth, cols, 100 << 20));
    }
  }
  // Sets that several precisions share once.
  std::vector<const KernelSet*> seen;
  for (Precision precision : {Precision::kFp32, Precision::kBf16, Precision::kBf16x3}) {
    const KernelSet& kernels = kernel_set(isa, precision);
    if (std::find(seen.begin(), seen.end(), &kernels) != seen.end()) continue;
    seen.push_back(&kernels);
    elementwise_kernels(kernels, pool);
    if (kernels.gemm != nullptr) tile_blocks(kernels, pool);
  }
}

}  // namespace
}  // namespace asmlp

int main() { asmlp::run(); }
