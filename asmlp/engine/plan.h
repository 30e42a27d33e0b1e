// Everything an engine decides and allocates before it runs: geometry, index tables, memory.
#pragma once

#include <optional>
#include <vector>

#include "asmlp/core/arena.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/engine/engine.h"
#include "asmlp/kernels/gather.h"
#include "asmlp/kernels/kernels.h"

namespace asmlp {

class ProductObserver;
class StageSink;
struct BackboneWeights;

// How a product of rows x (panels of columns) is cut into tasks. No result depends on the cut: it
// may follow the thread count and the cache sizes.
struct Grid {
  int64_t row_blocks = 1;
  int64_t col_blocks = 1;
  int64_t tasks() const { return row_blocks * col_blocks; }
};

// Most rows of a task.
inline constexpr int64_t kMaxBlockRows = 256;

// The index map of the axial shift along an axis of `extent` positions (model/config.h has the
// rules).
ShiftTable make_shift_table(int channels, int positions, int dilation, int extent, Padding padding);

struct PackedBlock;

struct StagePlan {
  MapSize size;
  int channels = 0;
  int64_t stride = 0;         // floats between pixels: at least the channels in whole tiles
  int64_t hidden_stride = 0;  // the same for the hidden channels of the MLP
  int group = 1;              // images that go through the stage together
  ShiftTable shift_h, shift_w;
  int64_t pixels() const { return int64_t{size.h} * size.w; }
};

// Scratch memory of one thread.
struct ThreadScratch {
  std::byte* a = nullptr;       // gathered rows, panel elements
  std::byte* hidden = nullptr;  // a chunk of the MLP's hidden rows, panel elements
  float* tile = nullptr;        // tiles on their way through an epilogue; a folded norm; a patch
};

// What a plan must have for the heads of a detector or segmentor.
struct HeadsNeeds {
  // Bytes of ThreadScratch::a and ::hidden, and the depth of the deepest product.
  int64_t a_bytes = 0;
  int64_t hidden_bytes = 0;
  int64_t depth = 0;
};

struct Plan {
  // Validates and reserves; allocate() must follow. `pool` must outlive the plan.
  // `kernels` are those of what is not quantized. With `heads` there is no pooling.
  Plan(const KernelSet& kernels, const Config& config, const BackboneWeights& weights,
       const EngineOptions& options, ThreadPool& pool, const std::optional<HeadsNeeds>& heads = {});
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  // Error(kTooLarge) when the buffers do not fit into the machine's memory. With a block, that is
  // where they are, and where others may have been before: nothing in them is zero.
  void allocate();
  void allocate(MemoryBlock& block);

  const KernelSet& kernels;
  ThreadPool& pool;
  StageSink* sink = nullptr;  // receives the stages' maps
  std::vector<StagePlan> stages;
  std::vector<StagePlan> stem;  // of its convolutions before the last one

  // The residual stream: maps[s % 2] has that of stage s, of all images (of the first stage's
  // group only), and the other one receives the next stage's.
  float* maps[2] = {};
  // Maps of a group: the output of conv1, replaced in place by GELU(norm()) of it as panel
  // elements; and the output of conv2.
  float *y = nullptr, *z = nullptr;
  std::vector<float*> stem_maps;  // of a group: those of `stem`, then their panel elements
  std::byte* hidden = nullptr;  // rows of the MLP's hidden channels, where threads share columns
  std::vector<ThreadScratch> scratch;
  RowStats* row_stats = nullptr;   // per pixel of the map written last
  ImageNorm* norms = nullptr;      // per image: the statistics of that map
  std::vector<float> zeros;        // a pixel of zeros
  float* final_map = nullptr;      // batch x pixels x channels, dense
  float* pooled = nullptr;         // batch x channels, dense
  float* logits_padded = nullptr;  // batch x classes rounded up
  float* logits = nullptr;         // batch x classes, dense
  std::vector<float*> features;    // dense NHWC; empty unless asked for
  std::vector<ProfileEntry> profile;
  ProductObserver* observer = nullptr;  // of what the products read, fp32 panels only
  int batch = 0;                        // of the last run
  Arena arena;                          // of all of them; who runs heads reserves here, too

  // Elements between gathered rows of A of this depth: padded so that rows do not compete for the
  // same cache sets. The second is for the rows that a matrix reads, the first for fp32 or bf16.
  int64_t lda(int64_t depth) const { return lda(depth, kernels.element); }
  static int64_t lda(int64_t depth, PanelElement element);
  static int64_t lda(const PackedMatrix& reader) {
    return lda(reader.padded_depth(), reader.kernels().element);
  }
  // The tasks of a product. `floats_per_row`: what a task touches per row besides the weights; it
  // decides how many rows stay in the L2 cache.
  Grid grid(int64_t rows, int64_t floats_per_row, int64_t panels) const;
  // Hidden columns of the MLP that a task of `rows` rows computes and consumes at a time, in
  // panels: all when fc2 is int8, whose sums are made of whole rows.
  int64_t chunk_panels(const PackedBlock& block, int64_t rows) const;
  // What a task of the MLP touches per row.
  int64_t mlp_floats(const StagePlan& stage, const PackedBlock& block) const;
  int64_t bytes() const { return arena.bytes(); }

 private:
  // Most rows of one task.
  int64_t block_rows(int64_t floats_per_row) const;
  void reserve_thread(ThreadScratch& thread, int64_t depth, int64_t hidden_depth,
                      int64_t hidden_bytes, const HeadsNeeds& heads);
  // Bytes of ThreadScratch::hidden.
  int64_t hidden_bytes(const BackboneWeights& weights) const;

  // Images whose maps in a stage shall share the caches.
  int group(const StagePlan& stage, int max_batch) const;

  int64_t cache_floats;  // of the L2 cache: what a task may keep there
};

}  // namespace asmlp
