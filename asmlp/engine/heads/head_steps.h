// The layers of heads as steps of the engine: convolutions, linear layers, resized maps.
#pragma once

#include "asmlp/engine/heads/packed_conv.h"
#include "asmlp/engine/steps.h"

namespace asmlp {

// N x h x w pixels of `channels` floats, `stride` apart.
struct HeadMap {
  float* data = nullptr;
  int h = 0;
  int w = 0;
  int channels = 0;
  int64_t stride = 0;
  int images = 1;
  int64_t rows() const { return int64_t{images} * h * w; }
  MapView<float> view() const { return {data, h, w, channels, stride}; }
  float* row(int64_t r) const { return data + r * stride; }
};

// Columns of the depth that are gathered at a time: all for int8, whose sums take the whole depth,
// else what leaves room in the L2 cache for many rows.
int64_t chunk_depth(const PackedMatrix& weight);
// What a task touches per row besides the weights (Plan::grid).
int64_t floats_per_row(const PackedMatrix& weight);

// What a plan must reserve for these layers: the largest of those that were asked about.
class HeadNeedsOf {
 public:
  void conv(const PackedConv& conv) { product(conv.matrix); }
  void product(const PackedMatrix& weight);
  // A task's rows of so many floats on their way to another product.
  void hidden(int64_t floats);
  const HeadsNeeds& needs() const { return needs_; }

 private:
  HeadsNeeds needs_;
};

inline constexpr int kHeadsStage = -1;  // ProfileEntry::stage of the heads

enum class AfterProduct { kNothing, kRelu };

class HeadSteps : protected Steps {
 protected:
  explicit HeadSteps(Plan& plan) : Steps(plan) { stage_index_ = kHeadsStage; }

  // The rows of a task: C = A * W with the bias, A gathered chunk by chunk:
  // gather(rows, depth_begin, depth_end, a, lda, padded columns).
  template <typename Gather>
  void deep_product(const PackedMatrix& weight, const GridTask& task, const Gather& gather,
                    float* c, int64_t ldc, AfterProduct after) {
    const int64_t depth = weight.depth(), chunk = chunk_depth(weight);
    for (int64_t begin = 0; begin < depth; begin += chunk) {
      const int64_t end = std::min(depth, begin + chunk);
      const int64_t padded = (end == depth ? weight.padded_depth() : end) - begin;
      const int64_t lda = Plan::lda(padded, weight.kernels().element);
      gather(task.rows, begin, end, task.scratch.a, lda, padded);
      GemmBlock block = block_of(task, task.scratch.a, lda, c, ldc);
      block.depth_begin = begin;
      block.depth_end = begin + padded;
      gemm(weight, block, begin == 0 ? TileStart::kBias : TileStart::kAccumulate, TileEnd::kStore);
    }
    if (after == AfterProduct::kRelu) relu(weight, task, c, ldc);
  }
  void relu(const PackedMatrix& weight, const GridTask& task, float* c, int64_t ldc) const;

  // Rows of a convolution's neighbors, for deep_product.
  auto neighbors(const PackedConv& conv, const HeadMap& in) const {
    return
        [&conv, in](Range rows, int64_t begin, int64_t end, void* a, int64_t lda, int64_t padded) {
          gather_neighbors(conv.matrix, in.view(), conv.kernel, rows.begin, rows.size(), begin, end,
                           a, lda, padded);
        };
  }

  // Calls body(task) for blocks of rows, each with all columns of `weight`.
  template <typename Body>
  void whole_rows(const PackedMatrix& weight, int64_t rows, int64_t floats, const Body& body) {
    const int64_t blocks = plan_.grid(rows, floats, weight.panels()).row_blocks;
    plan_.pool.run(static_cast<int>(blocks), [&](int block, int thread) {
      const GridTask task{
          block_range(rows, block, blocks), {0, weight.panels()}, plan_.scratch[thread]};
      if (task.rows.size() > 0) body(task);
    });
  }

  // out = conv(in), which must not be the same memory.
  void conv(const PackedConv& conv, const HeadMap& in, const HeadMap& out, AfterProduct after);
  // out = conv(norm(map)), kernel 1, for `images` maps of a stage, whose first goes to row `first`
  // of out.
  void normalized_conv(const PackedConv& conv, const PackedNorm& norm, const StagePlan& stage,
                       const float* map, const ImageNorm* norms, int images, const HeadMap& out,
                       int64_t first, AfterProduct after);
  // Rows `range` of fp32 values in the memory of a thread, times a small weight: out rows are
  // ld_out apart. Uses task.scratch.a.
  void second_product(const PackedMatrix& weight, const GridTask& task, const float* rows,
                      int64_t ld, float* out, int64_t ld_out);

  // out += in, resized to out's size by repeating the nearest pixels (torch's upsample_nearest2d).
  void add_nearest(const HeadMap& in, const HeadMap& out);
  // out = in, or out += in, resized bilinearly, corners not aligned (torch's upsample_bilinear2d).
  enum class Into { kStore, kAdd };
  void resize(const HeadMap& in, const HeadMap& out, Into into);
};

}  // namespace asmlp
