// Everything an engine decides and allocates before it runs: geometry, index tables, memory.
#pragma once

#include <vector>

#include "asmlp/core/aligned.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/engine/engine.h"
#include "asmlp/kernels/gather.h"
#include "asmlp/kernels/kernels.h"

namespace asmlp {

// How a product of rows x (panels of columns) is cut into tasks. No result depends on the cut: it
// may follow the thread count.
struct Grid {
  int64_t row_blocks = 1;
  int64_t col_blocks = 1;
  int64_t tasks() const { return row_blocks * col_blocks; }
};

// The index map of the axial shift along an axis of `extent` positions (model/config.h has the
// rules).
ShiftTable make_shift_table(int channels, int positions, int dilation, int extent, Padding padding);

struct StagePlan {
  MapSize size;
  int channels = 0;
  int64_t stride = 0;         // channels rounded up to whole vectors: floats between pixels
  int64_t hidden_stride = 0;  // the same for the hidden channels of the MLP
  ShiftTable shift_h, shift_w;
  int64_t pixels() const { return int64_t{size.h} * size.w; }
};

struct Plan {
  // Validates and allocates; Error(kTooLarge) when the buffers do not fit into the machine's
  // memory.
  Plan(const Model& model, const EngineOptions& options);

  const KernelSet& kernels;
  ThreadPool pool;
  std::vector<StagePlan> stages;

  // The residual stream, the output of conv1, and the output of conv2: maps of the current stage.
  AlignedFloats x, y, z;
  AlignedFloats hidden;  // of the MLP, where it does not stay in the cache
  std::vector<AlignedFloats>
      scratch;                      // per thread: gathered rows of A, then rows of the hidden layer
  int64_t gather_floats = 0;        // where in scratch the rows of the hidden layer begin
  std::vector<RowStats> row_stats;  // per pixel of the map written last
  std::vector<ImageNorm> norms;     // per image: the statistics of that map
  AlignedFloats final_map;          // batch x pixels x channels, dense
  AlignedFloats pooled;             // batch x stride of the last stage
  AlignedFloats logits_padded;      // batch x classes rounded up
  std::vector<float> logits, pooled_dense;
  std::vector<std::vector<float>> features;  // dense NHWC; empty unless asked for
  std::vector<ProfileEntry> profile;
  int batch = 0;  // of the last run

  // Rows of A gathered at a time for a product of this depth, and the tasks of a product.
  int64_t block_rows(int64_t depth) const;
  Grid grid(int64_t rows, int64_t depth, int64_t panels) const;
  // True for maps of so few pixels that one block holds them: then the threads share the columns of
  // the weights, and the hidden rows of the MLP go through memory instead of staying in one cache.
  bool splits_columns(int64_t rows) const;
};

}  // namespace asmlp
