#include "asmlp/detection/proposals.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/detection/finite.h"
#include "asmlp/detection/score_order.h"

namespace asmlp::detect {
namespace {

constexpr int64_t kCellsOfTask = 4096;

int64_t tasks_of(const RpnLevel& level, int64_t per_cell) {
  const auto cells = static_cast<int64_t>(level.anchors.size()) / per_cell;
  return (cells + kCellsOfTask - 1) / kCellsOfTask;
}

// Keys of the cells of a task. False when a logit is NaN.
bool set_keys(const RpnLevel& level, int64_t per_cell, int64_t task, uint64_t* keys) {
  const auto cells = static_cast<int64_t>(level.anchors.size()) / per_cell;
  const int64_t begin = task * kCellsOfTask, end = std::min(begin + kCellsOfTask, cells);
  bool numbers = true;
  for (int64_t cell = begin; cell < end; ++cell) {
    const float* logits = level.logits + cell * level.logit_stride;
    for (int64_t a = 0; a < per_cell; ++a) {
      const float score = 1 / (1 + std::exp(-logits[a]));
      numbers &= !std::isnan(score);
      const int64_t index = cell * per_cell + a;
      keys[index] = order_key(score, static_cast<uint32_t>(index));
    }
  }
  return numbers;
}

void drop_small(float least, Proposals& best, std::vector<int32_t>& level_of) {
  size_t count = 0;
  for (size_t i = 0; i < best.boxes.size(); ++i) {
    const Box box = best.boxes[i];
    if (!(box.x2 - box.x1 >= least && box.y2 - box.y1 >= least)) continue;
    best.boxes[count] = box;
    best.scores[count] = best.scores[i];
    level_of[count++] = level_of[i];
  }
  best.boxes.resize(count), best.scores.resize(count), level_of.resize(count);
}

}  // namespace

void ProposalMemory::reserve(int64_t anchors, int64_t level_count, const ProposalConfig& config) {
  const int64_t best_boxes = std::min(anchors, level_count * config.before_nms);
  const auto count = static_cast<size_t>(best_boxes);
  levels.reserve(static_cast<size_t>(level_count));
  keys.reserve(static_cast<size_t>(anchors));
  best.boxes.reserve(count), best.scores.reserve(count), level_of.reserve(count);
  kept.reserve(std::min(count, static_cast<size_t>(config.kept)));
  nms.reserve(best_boxes, level_count);
}

void propose(std::span<const RpnLevel> levels, int anchors_per_cell, const BoxCoder& coder,
             ImageSize image, const ProposalConfig& config, const ParallelFor& parallel,
             ProposalMemory& memory, Proposals& proposals) {
  require(config.before_nms > 0 && config.kept > 0, ErrorCode::kInvalidArgument,
          "propose: {} anchors per level and {} per image, must be positive", config.before_nms,
          config.kept);
  require(anchors_per_cell > 0, ErrorCode::kInvalidArgument,
          "propose: {} anchors per cell, must be positive", anchors_per_cell);
  memory.levels.clear();
  size_t anchors = 0, boxes = 0;
  int64_t tasks = 0;
  for (const RpnLevel& level : levels) {
    const size_t count = level.anchors.size();
    require(count % static_cast<size_t>(anchors_per_cell) == 0 && count <= INT32_MAX,
            ErrorCode::kInvalidArgument, "propose: {} anchors of a level with {} per cell", count,
            anchors_per_cell);
    memory.levels.push_back({anchors, boxes, std::min(count, size_t(config.before_nms))});
    anchors += count;
    boxes += memory.levels.back().boxes;
    tasks += tasks_of(level, anchors_per_cell);
  }
  memory.keys.resize(anchors);
  std::atomic<bool> finite = true;
  const auto score = [&](int64_t task) {
    size_t level = 0;
    for (; task >= tasks_of(levels[level], anchors_per_cell); ++level) {
      task -= tasks_of(levels[level], anchors_per_cell);
    }
    uint64_t* keys = memory.keys.data() + memory.levels[level].first_key;
    if (!set_keys(levels[level], anchors_per_cell, task, keys)) finite = false;
  };
  parallel(tasks, std::ref(score));
  require_finite(finite);

  Proposals& best = memory.best;
  best.boxes.resize(boxes), best.scores.resize(boxes), memory.level_of.resize(boxes);
  const auto choose = [&](int64_t index) {
    const auto l = static_cast<size_t>(index);
    const RpnLevel& level = levels[l];
    const auto [first_key, first_box, count] = memory.levels[l];
    uint64_t* keys = memory.keys.data() + first_key;
    if (count < level.anchors.size()) {
      std::nth_element(keys, keys + count, keys + level.anchors.size());
    }
    std::sort(keys, keys + count);
    for (size_t i = 0; i < count; ++i) {
      const int64_t anchor = index_of_key(keys[i]), cell = anchor / anchors_per_cell;
      const float* delta = level.deltas + cell * level.delta_stride + anchor % anchors_per_cell * 4;
      const Box box = decode(coder, level.anchors[static_cast<size_t>(anchor)], delta, &image);
      if (!is_finite(box)) finite = false;
      best.boxes[first_box + i] = box;
      best.scores[first_box + i] = score_of_key(keys[i]);
      memory.level_of[first_box + i] = static_cast<int32_t>(index);
    }
  };
  parallel(static_cast<int64_t>(levels.size()), std::ref(choose));
  require_finite(finite);

  if (config.min_size > 0) {
    drop_small(static_cast<float>(config.min_size), best, memory.level_of);
  }
  batched_nms(best.boxes, best.scores, memory.level_of, config.nms_iou, config.kept, parallel,
              memory.nms, memory.kept);
  proposals.boxes.clear(), proposals.scores.clear();
  for (const int32_t i : memory.kept) {
    proposals.boxes.push_back(best.boxes[static_cast<size_t>(i)]);
    proposals.scores.push_back(best.scores[static_cast<size_t>(i)]);
  }
}

}  // namespace asmlp::detect
