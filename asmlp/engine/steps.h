// How a step of the forward pass runs: cut into tasks on the engine's threads, with the statistics
// of its result and, if asked for, its time.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include "asmlp/engine/observer.h"
#include "asmlp/engine/plan.h"
#include "asmlp/engine/statistics.h"
#include "asmlp/kernels/gather.h"
#include "asmlp/kernels/gemm.h"

namespace asmlp {

// A range [begin, end) of items; block `index` of `blocks` that are as even as possible.
struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};
inline Range block_range(int64_t total, int64_t index, int64_t blocks) {
  return {total * index / blocks, total * (index + 1) / blocks};
}

// One task of a product: these rows, these column panels, this thread's memory.
struct GridTask {
  Range rows;
  Range panels;
  const ThreadScratch& scratch;
};

// Base of the forward pass.
class Steps {
 protected:
  explicit Steps(Plan& plan) : plan_(plan), kernels_(plan.kernels) {}

  // Of the images at work.
  int64_t rows(const StagePlan& stage) const { return images_ * stage.pixels(); }

  // Runs `step` and books its time, when the engine profiles.
  template <typename Step>
  void profiled(const char* name, int64_t multiply_adds, const Step& step) {
    if (plan_.profile.empty()) return step();
    const auto begin = std::chrono::steady_clock::now();
    step();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    for (ProfileEntry& entry : plan_.profile) {
      if (entry.stage != stage_index_ || entry.name != name) continue;
      entry.seconds += elapsed.count();
      entry.multiply_adds += multiply_adds;
    }
  }
  int64_t work(const PackedMatrix& weight, int64_t row_count) const {
    return row_count * weight.depth() * weight.cols();
  }

  // Calls body(task) for every task of a product. With `map`, the statistics of that map's rows
  // follow. `floats_per_row`: see Plan::grid.
  template <typename Body>
  void product(const PackedMatrix& weight, int64_t row_count, int64_t floats_per_row,
               const Body& body, const StagePlan* stage = nullptr, const float* map = nullptr) {
    const Grid grid = plan_.grid(row_count, floats_per_row, weight.panels());
    const bool whole_rows = grid.col_blocks == 1;
    // With few images, the thread that ends last merges their statistics: no other has to wake up.
    const bool merge_here = whole_rows && map != nullptr && images_ < plan_.pool.size();
    std::atomic<int64_t> unfinished{grid.tasks()};
    plan_.pool.run(static_cast<int>(grid.tasks()), [&](int index, int thread) {
      const GridTask task{block_range(row_count, index / grid.col_blocks, grid.row_blocks),
                          block_range(weight.panels(), index % grid.col_blocks, grid.col_blocks),
                          plan_.scratch[thread]};
      if (task.rows.size() > 0 && task.panels.size() > 0) body(task);
      if (map != nullptr && whole_rows) row_statistics(*stage, map, task.rows);
      if (!merge_here || unfinished.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
      for (int image = 0; image < images_; ++image) merge_statistics(*stage, image, /*zeros=*/0);
    });
    if (map == nullptr || merge_here) return;
    if (!whole_rows) {
      for_row_blocks(row_count,
                     [&](Range r, const ThreadScratch&) { row_statistics(*stage, map, r); });
    }
    image_statistics(*stage, /*zeros=*/0);
  }

  // An elementwise pass in row blocks.
  template <typename Body>
  void for_row_blocks(int64_t row_count, const Body& body) {
    const int64_t blocks = std::min<int64_t>(row_count, plan_.pool.size() * 4);
    plan_.pool.run(static_cast<int>(blocks), [&](int task, int thread) {
      body(block_range(row_count, task, blocks), plan_.scratch[thread]);
    });
  }

  MapView<float> view(const float* map, const StagePlan& stage) const {
    return {map, stage.size.h, stage.size.w, stage.channels, stage.stride};
  }

  // The map y after norm and GELU, and z within the serial connection: panel elements, each row in
  // the place of the fp32 row.
  template <typename T>
  MapView<T> panel_view(const float* map, const StagePlan& stage) const {
    return {reinterpret_cast<const T*>(map), stage.size.h, stage.size.w, stage.channels,
            stage.stride * int64_t{sizeof(float) / sizeof(T)}};
  }
  std::byte* panel_row(float* map, int64_t row, const StagePlan& stage) const {
    return reinterpret_cast<std::byte*>(map + row * stage.stride);
  }

  MapNorm map_norm(const PackedNorm& norm, const ThreadScratch& scratch) const {
    return {norms_, norm.gamma, norm.beta, scratch.tile};
  }

  // Rows of a map, replaced in place by what `normalize` makes of them: elements of `size` bytes in
  // the first part of the row's place.
  void normalize_rows(void (*normalize)(const NormRows&, const NormArgs&), int64_t size,
                      const PanelFormat& format, const PackedNorm& norm, float* map,
                      const StagePlan& stage, Range range, const ThreadScratch& scratch) const {
    const int64_t ld = stage.stride * int64_t{sizeof(float)} / size;
    for (int64_t row = range.begin; row < range.end;) {
      const int64_t image = row / stage.pixels();
      const int64_t count = std::min(range.end, (image + 1) * stage.pixels()) - row;
      float* first = map + row * stage.stride;
      normalize({first, stage.stride, first, ld, count, stage.channels},
                fold(format, map_norm(norm, scratch), image, stage.channels));
      row += count;
    }
  }

  // Calls body(a) with the memory as elements as wide as those of the weight's panels.
  template <typename Body>
  static void with_elements(const PackedMatrix& weight, std::byte* a, const Body& body) {
    switch (size_of(weight.kernels().element)) {
      case 1:
        return body(reinterpret_cast<uint8_t*>(a));
      case 2:
        return body(reinterpret_cast<uint16_t*>(a));
      default:
        return body(reinterpret_cast<float*>(a));
    }
  }

  void row_statistics(const StagePlan& stage, const float* map, Range range) {
    kernels_.row_stats(map + range.begin * stage.stride, stage.stride, range.size(), stage.channels,
                       plan_.row_stats + range.begin);
  }

  // norms_ of the map whose row statistics are in place.
  void merge_statistics(const StagePlan& stage, int image, int64_t zeros) {
    norms_[image] = merge_stats(plan_.row_stats + image * stage.pixels(), stage.pixels(),
                                stage.channels, zeros);
  }
  void image_statistics(const StagePlan& stage, int64_t zeros) {
    plan_.pool.run(images_, [&](int image, int) { merge_statistics(stage, image, zeros); });
  }

  // Every product of the forward pass: gemm() of kernels/gemm.h, shown to who observes.
  void gemm(const PackedMatrix& weight, const GemmBlock& block, TileStart start, TileEnd end) {
    // Tasks that share the columns read the same rows: the first of them shows them.
    if (plan_.observer != nullptr && block.panel_begin == 0) {
      const int64_t depth_end = block.depth_end == 0 ? weight.depth() : block.depth_end;
      plan_.observer->observe(weight, static_cast<const float*>(block.a), block.lda, block.rows,
                              block.depth_begin,
                              std::min(depth_end, weight.depth()) - block.depth_begin);
    }
    asmlp::gemm(weight, block, start, end);
  }

  // out = weight * rows that gather(task, lda) writes to the task's memory; the statistics follow.
  template <typename Gather>
  void gathered_product(const PackedMatrix& weight, const StagePlan& to, float* out,
                        const Gather& gather) {
    const int64_t lda = plan_.lda(weight);
    product(
        weight, rows(to), weight.depth() + to.stride,
        [&](const GridTask& task) {
          gather(task, lda);
          gemm(weight,
               block_of(task, task.scratch.a, lda, out + task.rows.begin * to.stride, to.stride),
               TileStart::kBias, TileEnd::kStore);
        },
        &to, out);
  }

  // The block of a task: A and C begin at its first row.
  static GemmBlock block_of(const GridTask& task, const void* a, int64_t lda, void* c = nullptr,
                            int64_t ldc = 0) {
    return {.a = a,
            .lda = lda,
            .c = c,
            .ldc = ldc,
            .rows = task.rows.size(),
            .panel_begin = task.panels.begin,
            .panel_end = task.panels.end,
            .scratch = task.scratch.tile};
  }

  Plan& plan_;
  const KernelSet& kernels_;
  int images_ = 0;              // at work: Plan::group of them at a time
  ImageNorm* norms_ = nullptr;  // of their maps written last
  int stage_index_ = 0;         // that profiled() books for
};

}  // namespace asmlp
