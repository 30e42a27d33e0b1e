// Parts of the engine by themselves, as fractions of the arithmetic peak measured beside them:
// products of the shapes that the published models have, with weights from the caches and from
// memory, and the elementwise kernels in cycles per vector of a core at that peak's clock.
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
  arena.reserve(scratch, gemm_scratch(kernels, rows));
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

// Core cycles per vector of `call`, which handles `vectors` of them. Two FMAs a cycle are assumed.
template <typename Call>
void elementwise(const char* name, const KernelSet& kernels, ThreadPool& pool, int vectors,
                 const Call& call) {
  const double lanes = kernels.tile_cols / 2.0;
  std::vector<double> cycles;
  for (int repeat = 0; repeat < 25; ++repeat) {
    const double clock =
        measure_peak(kernels.isa, Precision::kFp32, pool, 0.002).flops / (4 * lanes);
    const double begin = now();
    for (int i = 0; i < 1000; ++i) call();
    cycles.push_back((now() - begin) * clock / 1000 / vectors);
  }
  std::printf("%-24s %6.2f cycles per vector\n", name, median(cycles));
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
  const KernelSet& kernels = kernel_set(isa);
  const int cols = kernels.tile_cols, rows = 384, length = 384;
  float *x = nullptr, *y = nullptr, *ones = nullptr;
  Arena arena;
  arena.reserve(x, rows * cols + length);
  arena.reserve(y, rows * cols + length);
  arena.reserve(ones, length);
  arena.allocate();
  for (int i = 0; i < rows * cols; ++i) x[i] = static_cast<float>(i % 997) / 100 - 5;
  const NormArgs norm{0.1f, 2.0f, ones, ones};
  std::printf("\nelementwise, in L1\n");
  elementwise("GELU", kernels, pool, rows * 2, [&] {
    kernels.gelu({x, cols, y, cols, rows, cols});
  });
  elementwise("norm, 384 channels", kernels, pool, 2 * length / cols,
              [&] { kernels.normalize(x, y, length, norm); });
  elementwise("norm + GELU, 384", kernels, pool, 2 * length / cols,
              [&] { kernels.normalize_gelu_panel(x, y, length, norm); });
  RowStats stats[8];
  for (int64_t channels : {96, 384}) {
    elementwise(channels == 96 ? "row statistics, 8 x 96" : "row statistics, 8 x 384", kernels,
                pool, 8 * 2 * channels / cols,
                [&] { kernels.row_stats(x, channels, 8, channels, stats); });
  }
}

}  // namespace
}  // namespace asmlp

int main() { asmlp::run(); }
