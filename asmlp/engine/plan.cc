#include "asmlp/engine/plan.h"

#include <algorithm>

#include "asmlp/core/cpu.h"
#include "asmlp/core/error.h"
#include "asmlp/engine/packed_weights.h"
#include "asmlp/kernels/gemm.h"
#include "asmlp/kernels/int8_kernels.h"

namespace asmlp {
namespace {

// A task shall not have fewer rows while there are other ways to occupy the threads: each row block
// streams the whole weight matrix.
constexpr int64_t kMinBlockRows = 40;

// What the maps of a group of images may take, in L2 caches of all threads.
constexpr int64_t kGroupCaches = 4;

// Hidden columns computed and consumed at a time by a task of the MLP of kMaxBlockRows; one of
// fewer rows takes more, because each chunk reads and writes the task's part of the residual
// stream.
constexpr int64_t kChunkCols = 384;

// Three quarters of the core's L2 cache, in floats; the rest is for the weights that stream past.
int64_t l2_floats() {
  constexpr int64_t kSmallest = 256 * 1024;  // also when the system does not say
  return std::max(l2_cache_bytes(), kSmallest) * 3 / 4 / int64_t{sizeof(float)};
}

// Floats between rows of so many channels: whole tiles, but not a multiple of a kilobyte, because a
// tile's rows would then compete for a few cache sets (49 x 1024 x 1024: 88 % of the peak instead
// of 96 %).
int64_t row_stride(const KernelSet& kernels, int64_t channels) {
  const int64_t stride = round_up(channels, kernels.tile_cols);
  return stride % 256 == 0 ? stride + 16 : stride;
}

// A map without shifts and MLP: of the stem.
StagePlan make_map(const KernelSet& kernels, int channels, MapSize size) {
  StagePlan plan;
  plan.size = size;
  plan.channels = channels;
  plan.stride = row_stride(kernels, channels);
  return plan;
}

StagePlan make_stage(const KernelSet& kernels, const Config& config, int stage, MapSize size) {
  StagePlan plan = make_map(kernels, config.dim(stage), size);
  // At least whole cache lines of bytes, which is what an int8 tile may take of them.
  plan.hidden_stride =
      row_stride(kernels, round_up(config.hidden_dim(stage), static_cast<int64_t>(kAlignment)));
  plan.shift_h =
      make_shift_table(plan.channels, config.shift_size.h, config.dilation, size.h, config.padding);
  plan.shift_w =
      make_shift_table(plan.channels, config.shift_size.w, config.dilation, size.w, config.padding);
  return plan;
}

void check(const EngineOptions& options) {
  for (int side : {options.height, options.width}) {
    require(side >= 1 && side <= 16384, ErrorCode::kInvalidArgument,
            "input size {} x {} is outside 1..16384 pixels", options.height, options.width);
  }
  require(options.max_batch >= 1 && options.max_batch <= 4096, ErrorCode::kInvalidArgument,
          "max_batch is {}, must be between 1 and 4096", options.max_batch);
}

std::vector<ProfileEntry> profile_of(const Config& config) {
  std::vector<ProfileEntry> entries{{"patch_embed", 0, 0, 0}};
  for (int s = 0; s < config.num_stages(); ++s) {
    for (const char* step : {"conv1", "gelu", "conv2", "conv3", "mlp"}) {
      entries.push_back({step, s, 0, 0});
    }
    if (s + 1 < config.num_stages()) entries.push_back({"merging", s, 0, 0});
  }
  entries.push_back({"head", config.num_stages(), 0, 0});
  return entries;
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

int64_t Plan::lda(int64_t depth, PanelElement element) {
  constexpr int64_t kLine = static_cast<int64_t>(kAlignment);
  const int64_t size = size_of(element);
  // An odd number of cache lines.
  return ((depth * size + kLine - 1) / kLine | 1) * kLine / size;
}

int64_t Plan::block_rows(int64_t floats_per_row) const {
  return std::clamp(cache_floats / floats_per_row, kMinBlockRows, kMaxBlockRows);
}

Grid Plan::grid(int64_t rows, int64_t floats_per_row, int64_t panels) const {
  const int64_t threads = pool.size();
  const int64_t most = std::max<int64_t>(1, rows / kMinBlockRows);
  if (threads <= most) {
    const int64_t most_rows = block_rows(floats_per_row);
    // A multiple of the threads, so that none waits for another's last block.
    return {std::min(rows, round_up((rows + most_rows - 1) / most_rows, threads)), 1};
  }
  return {most, std::min(panels, (threads + most - 1) / most)};
}

int64_t Plan::chunk_panels(const PackedBlock& block, int64_t rows) const {
  if (block.fc2.kernels().int8 != nullptr) return block.fc1.panels();
  const int64_t fitting = std::min(cache_floats / 2, kMaxBlockRows * kChunkCols) / rows;
  return std::min(std::max(kChunkCols, fitting) / kernels.tile_cols, block.fc1.panels());
}

int64_t Plan::mlp_floats(const StagePlan& stage, const PackedBlock& block) const {
  const int64_t chunk = chunk_panels(block, kMaxBlockRows) * kernels.tile_cols;
  const bool int8 = block.fc2.kernels().int8 != nullptr;
  return 2 * stage.stride + (int8 ? chunk * size_of(block.fc2.kernels().element) / 4 : chunk);
}

int64_t Plan::hidden_bytes(const BackboneWeights& weights) const {
  // Of a chunk's columns and the padding that lda() adds: at most two cache lines.
  int64_t bytes = kMaxBlockRows * (kChunkCols * size_of(kernels.element) + 2 * int64_t{kAlignment});
  for (size_t s = 0; s < stages.size(); ++s) {
    for (const PackedBlock& block : weights.stages[s].blocks) {
      if (block.fc2.kernels().int8 == nullptr) continue;
      // Few rows of a narrow layer may be one task although there are threads for two.
      const int64_t rows = std::max(block_rows(mlp_floats(stages[s], block)), 2 * kMinBlockRows);
      const int64_t cols = block.fc1.panels() * kernels.tile_cols;
      const PanelElement element = block.fc2.kernels().element;
      const int64_t row = lda(std::max(cols, block.fc2.padded_depth()), element);
      bytes = std::max(bytes, rows * row * size_of(element));
    }
  }
  return bytes;
}

int Plan::group(const StagePlan& stage, int max_batch) const {
  // Three maps of some times the L2 caches. Beyond that every step of a block reads and writes the
  // slowest memory; far below, the threads wait for each other more often and each group streams
  // the weights.
  const int64_t map_floats = kGroupCaches * pool.size() * cache_floats / 3;
  const int64_t images = std::max<int64_t>(map_floats / (stage.pixels() * stage.stride), 1);
  // But enough rows for every thread.
  const int64_t least = (pool.size() * kMaxBlockRows + stage.pixels() - 1) / stage.pixels();
  return static_cast<int>(std::min<int64_t>(std::max(images, least), max_batch));
}

void Plan::reserve_thread(ThreadScratch& thread, int64_t depth, int64_t hidden_depth,
                          int64_t hidden_bytes, const HeadsNeeds& heads) {
  const int64_t size = size_of(kernels.element);
  const int64_t a_bytes = std::max(kMaxBlockRows * lda(depth) * size, heads.a_bytes);
  arena.reserve(thread.a, a_bytes + kGatherSlack);
  arena.reserve(thread.hidden, std::max(hidden_bytes, heads.hidden_bytes));
  const int64_t deepest = std::max({depth, hidden_depth, heads.depth});
  const int64_t gemm = gemm_scratch(kernels, kMaxBlockRows, deepest);
  arena.reserve(thread.tile, std::max(gemm, fold_scratch(depth)));
}

Plan::Plan(const KernelSet& set, const Config& config, const BackboneWeights& weights,
           const EngineOptions& options, ThreadPool& threads,
           const std::optional<HeadsNeeds>& heads)
    : kernels(set), pool(threads), cache_floats(l2_floats()) {
  check(options);
  const int64_t max_batch = options.max_batch;
  const auto sizes = stage_sizes(config, options.height, options.width);
  for (int s = 0; s < config.num_stages(); ++s) {
    StagePlan stage = make_stage(kernels, config, s, sizes[s]);
    stage.group = group(stage, options.max_batch);
    stages.push_back(std::move(stage));
  }

  int64_t stream_floats[2] = {}, map_floats = 0, hidden_elements = 0, max_rows = 0;
  // Of the deepest gather: the patch embedding's or a patch merging's.
  int64_t depth = int64_t{config.in_chans} * stem_kernel(config) * stem_kernel(config);
  const auto halved = stem_sizes(config, options.height, options.width);
  for (int i = 0; i < config.stem_convs(); ++i) {
    stem.push_back(make_map(kernels, config.stem_dim(i), halved[i]));
    depth = std::max<int64_t>(depth, 9 * config.stem_dim(i));
    max_rows = std::max(max_rows, stages[0].group * stem.back().pixels());
  }
  int64_t hidden_depth = 0;
  for (size_t s = 0; s < stages.size(); ++s) {
    const StagePlan& stage = stages[s];
    const int64_t rows = stage.group * stage.pixels();
    const int64_t stream_rows = s == 0 ? rows : max_batch * stage.pixels();
    // The statistics of a patch merging's result lie there, too: as many images of fewer pixels.
    max_rows = std::max(max_rows, rows);
    map_floats = std::max(map_floats, rows * stage.stride);
    stream_floats[s % 2] = std::max(stream_floats[s % 2], stream_rows * stage.stride);
    // Threads share columns only while there are fewer than kMinBlockRows rows for each.
    const int64_t shared_rows = std::min(rows, pool.size() * kMinBlockRows);
    hidden_elements = std::max(hidden_elements, shared_rows * stage.hidden_stride);
    const int neighbors = config.downsample == Downsample::kConv ? 9 : 4;
    if (s + 1 < stages.size()) depth = std::max<int64_t>(depth, neighbors * stage.channels);
    depth = std::max<int64_t>(depth, stage.channels);
    hidden_depth = std::max(hidden_depth, stage.hidden_stride);
  }
  const StagePlan& last = stages.back();
  const int64_t slack = kGatherSlack / int64_t{sizeof(float)};
  for (int i : {0, 1}) arena.reserve(maps[i], stream_floats[i] + slack);
  arena.reserve(y, map_floats + slack);
  arena.reserve(z, map_floats + slack);
  stem_maps.resize(stem.size());
  for (size_t i = 0; i < stem.size(); ++i) {
    arena.reserve(stem_maps[i], stages[0].group * stem[i].pixels() * stem[i].stride + slack);
  }
  arena.reserve(hidden, hidden_elements * size_of(kernels.element));
  scratch.resize(pool.size());
  const int64_t hidden = hidden_bytes(weights);
  for (ThreadScratch& thread : scratch) {
    reserve_thread(thread, depth, hidden_depth, hidden, heads.value_or(HeadsNeeds()));
  }
  arena.reserve(row_stats, max_rows);
  arena.reserve(norms, max_batch);
  zeros.resize(depth);
  if (!heads) {
    arena.reserve(final_map, max_batch * last.pixels() * last.channels);
    arena.reserve(pooled, max_batch * last.channels);
  }
  arena.reserve(logits_padded, max_batch * round_up(config.num_classes, kernels.tile_cols));
  arena.reserve(logits, max_batch * config.num_classes);
  if (options.features) {
    features.resize(stages.size() + 1);
    arena.reserve(features[0], max_batch * stages[0].pixels() * stages[0].channels);
    for (size_t s = 0; s < stages.size(); ++s) {
      const StagePlan& out = stages[std::min(s + 1, stages.size() - 1)];
      arena.reserve(features[s + 1], max_batch * out.pixels() * out.channels);
    }
  }
  if (options.profile) profile = profile_of(config);
}

void Plan::allocate() { arena.allocate(); }
void Plan::allocate(MemoryBlock& block) { arena.allocate(block); }

}  // namespace asmlp
