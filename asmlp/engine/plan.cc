#include "asmlp/engine/plan.h"

#include <unistd.h>

#include <algorithm>
#include <new>

#include "asmlp/core/error.h"
#include "asmlp/engine/packed_weights.h"

namespace asmlp {
namespace {

// Gathered rows of A: 32768 floats are 128 kB, a quarter of the smallest L2 around, which leaves
// room for the weights and outputs that stream past.
constexpr int64_t kBlockFloats = 32768;
constexpr int64_t kMinBlockRows = 48;
constexpr int64_t kMaxBlockRows = 96;

StagePlan make_stage(const KernelSet& kernels, const Config& config, int stage, MapSize size) {
  StagePlan plan;
  plan.size = size;
  plan.channels = config.dim(stage);
  plan.stride = round_up(plan.channels, kernels.tile_cols);
  plan.hidden_stride = round_up(config.hidden_dim(stage), kernels.tile_cols);
  plan.shift_h =
      make_shift_table(plan.channels, config.shift_size.h, config.dilation, size.h, config.padding);
  plan.shift_w =
      make_shift_table(plan.channels, config.shift_size.w, config.dilation, size.w, config.padding);
  return plan;
}

void check_options(const EngineOptions& options) {
  for (int side : {options.height, options.width}) {
    require(side >= 1 && side <= 16384, ErrorCode::kInvalidArgument,
            "input size {} x {} is outside 1..16384 pixels", options.height, options.width);
  }
  require(options.max_batch >= 1 && options.max_batch <= 4096, ErrorCode::kInvalidArgument,
          "max_batch is {}, must be between 1 and 4096", options.max_batch);
}

// Refuses before touching a page what the machine cannot hold.
void check_memory(int64_t floats) {
  const double needed = 4.0 * static_cast<double>(floats);
  const double present = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                         static_cast<double>(::sysconf(_SC_PAGE_SIZE));
  require(needed < 0.9 * present, ErrorCode::kTooLarge,
          "this input size and batch need {:.1f} GB of buffers, the machine has {:.1f} GB; use a "
          "smaller image or batch",
          needed / 1e9, present / 1e9);
}

}  // namespace

ShiftTable make_shift_table(int channels, int positions, int dilation, int extent,
                            Padding padding) {
  ShiftTable table;
  table.extent = extent;
  for (int c = 0; c < channels;) {
    const int shift = shift_of_channel(c, channels, positions, dilation);
    int end = c + 1;
    while (end < channels && shift_of_channel(end, channels, positions, dilation) == shift) ++end;
    table.groups.push_back({c, end});
    for (int p = 0; p < extent; ++p)
      table.source.push_back(padded_index(p - shift, extent, padding));
    c = end;
  }
  return table;
}

int64_t Plan::block_rows(int64_t depth) const {
  return std::clamp(kBlockFloats / std::max<int64_t>(depth, 1), kMinBlockRows, kMaxBlockRows);
}

Grid Plan::grid(int64_t rows, int64_t depth, int64_t panels) const {
  const int64_t threads = pool.size();
  if (splits_columns(rows)) return {1, std::min(threads, panels)};
  // A multiple of the threads, so that none waits for another's last block.
  return {round_up((rows + block_rows(depth) - 1) / block_rows(depth), threads), 1};
}

bool Plan::splits_columns(int64_t rows) const { return rows <= kMaxBlockRows; }

Plan::Plan(const Model& model, const EngineOptions& options)
    : kernels(*model.weights().kernels), pool(options.threads) {
  check_options(options);
  const Config& config = model.config();
  const int64_t max_batch = options.max_batch;
  const auto sizes = stage_sizes(config, options.height, options.width);
  for (int s = 0; s < config.num_stages(); ++s) {
    stages.push_back(make_stage(kernels, config, s, sizes[s]));
  }

  int64_t map_floats = 0, hidden_floats = 0, block_hidden = 0, max_rows = 0, feature_floats = 0;
  int64_t depth = int64_t{config.in_chans} * config.patch_size * config.patch_size;
  for (const StagePlan& stage : stages) {
    const int64_t rows = max_batch * stage.pixels();
    max_rows = std::max(max_rows, rows);
    map_floats = std::max(map_floats, rows * stage.stride);
    // A smaller batch of the same engine may take the other path: room for both.
    hidden_floats = std::max(hidden_floats, std::min(rows, kMaxBlockRows) * stage.hidden_stride);
    block_hidden = std::max(block_hidden, stage.hidden_stride);
    depth = std::max<int64_t>(depth, 4 * stage.channels);
    feature_floats += 2 * rows * stage.channels;
  }
  const StagePlan& last = stages.back();
  // Rows of a block can exceed block_rows by up to two tiles, where the tiles do not divide evenly.
  const int64_t rows_of_block = kMaxBlockRows + 2 * kernels.tile_rows;
  gather_floats = round_up(rows_of_block * round_up(depth, kernels.tile_cols) + kGatherSlack, 16);
  const int64_t scratch_floats = gather_floats + rows_of_block * block_hidden;
  const int64_t final_floats = max_batch * last.pixels() * last.channels;
  check_memory(3 * map_floats + hidden_floats + pool.size() * scratch_floats + final_floats +
               2 * max_rows + (options.features ? feature_floats : 0));

  x = AlignedFloats(map_floats + kGatherSlack);
  y = AlignedFloats(map_floats + kGatherSlack);
  z = AlignedFloats(map_floats + kGatherSlack);
  hidden = AlignedFloats(hidden_floats);
  for (int t = 0; t < pool.size(); ++t) scratch.emplace_back(scratch_floats);
  row_stats.resize(max_rows);
  norms.resize(max_batch);
  final_map = AlignedFloats(final_floats);
  pooled = AlignedFloats(max_batch * last.stride);
  pooled_dense.resize(max_batch * last.channels);
  logits_padded = AlignedFloats(max_batch * round_up(config.num_classes, kernels.tile_cols));
  logits.resize(max_batch * config.num_classes);
  if (options.features) {
    features.emplace_back(max_batch * stages[0].pixels() * stages[0].channels);
    for (size_t s = 0; s < stages.size(); ++s) {
      const StagePlan& out = stages[std::min(s + 1, stages.size() - 1)];
      features.emplace_back(max_batch * out.pixels() * out.channels);
    }
  }
}

}  // namespace asmlp
