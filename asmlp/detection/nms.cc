#include "asmlp/detection/nms.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/detection/nms_kernel.h"
#include "asmlp/detection/score_order.h"

namespace asmlp::detect {
namespace {

// From here on batched_nms goes class by class (the authors' constant).
constexpr size_t kManyBoxes = 10000;
// A class is a number that fp32 holds.
constexpr int32_t kMostClasses = 1 << 24;
// Below this a class has too few pairs to be worth another thread.
constexpr size_t kBoxesForThreads = 1024;

BoxColumns columns_of(NmsMemory& memory) {
  return {memory.x1.data(), memory.y1.data(),   memory.x2.data(),
          memory.y2.data(), memory.area.data(), memory.gone.data()};
}

void set_column(NmsMemory& memory, size_t column, const Box& box, float shift, int32_t rank) {
  const float x1 = box.x1 + shift, y1 = box.y1 + shift, x2 = box.x2 + shift, y2 = box.y2 + shift;
  memory.x1[column] = x1, memory.y1[column] = y1, memory.x2[column] = x2, memory.y2[column] = y2;
  memory.area[column] = (x2 - x1) * (y2 - y1);
  memory.rank[column] = rank;
}

// Sets memory.kept for the columns [first, last), `limit` at most. A block of boxes is decided one
// by one; its survivors then go through all later boxes, spread over the threads.
void greedy(NmsMemory& memory, int64_t first, int64_t last, float threshold, int64_t limit,
            const ParallelFor& parallel) {
  constexpr int64_t kBlock = 64, kGrain = 4096;
  const BoxColumns boxes = columns_of(memory);
  std::array<int64_t, kBlock> survivors;
  int64_t kept = 0;
  for (int64_t begin = first; begin < last; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, last);
    size_t count = 0;
    for (int64_t i = begin; i < end; ++i) {
      if (boxes.gone[i] != 0) continue;
      if (kept++ == limit) return;
      memory.kept[static_cast<size_t>(memory.rank[static_cast<size_t>(i)])] = 1;
      survivors[count++] = i;
      suppress(boxes, i, i + 1, end, threshold);
    }
    const auto body = [&](int64_t task) {
      const int64_t from = end + task * kGrain, to = std::min(from + kGrain, last);
      for (size_t i = 0; i < count; ++i) suppress(boxes, survivors[i], from, to, threshold);
    };
    const int64_t tasks = (last - end + kGrain - 1) / kGrain;
    if (tasks > 1) {
      parallel(tasks, std::ref(body));
    } else if (tasks == 1) {
      body(0);
    }
  }
}

// Checks, and sorts the scores; the columns have their sizes then.
int64_t prepare(std::span<const Box> boxes, std::span<const float> scores, double threshold,
                int64_t limit, NmsMemory& memory) {
  require(scores.size() == boxes.size() && boxes.size() <= INT32_MAX, ErrorCode::kInvalidArgument,
          "nms: {} scores for {} boxes", scores.size(), boxes.size());
  require(threshold >= 0 && limit >= kKeepAll, ErrorCode::kInvalidArgument,
          "nms: threshold {} and limit {}, must be >= 0 and >= {}", threshold, limit, kKeepAll);
  memory.order.clear();
  for (size_t i = 0; i < scores.size(); ++i) {
    memory.order.push_back(order_key(scores[i], static_cast<uint32_t>(i)));
  }
  std::ranges::sort(memory.order);
  for (auto* column : {&memory.x1, &memory.y1, &memory.x2, &memory.y2, &memory.area}) {
    column->resize(boxes.size());
  }
  memory.rank.resize(boxes.size());
  memory.gone.assign(boxes.size(), 0);
  memory.kept.assign(boxes.size(), 0);
  return limit == kKeepAll ? static_cast<int64_t>(boxes.size()) : limit;
}

// The first `limit` of those that were kept.
void finish(const NmsMemory& memory, int64_t limit, std::vector<int32_t>& kept) {
  kept.clear();
  for (size_t rank = 0; rank < memory.kept.size(); ++rank) {
    if (memory.kept[rank] == 0) continue;
    if (static_cast<int64_t>(kept.size()) == limit) return;
    kept.push_back(static_cast<int32_t>(index_of_key(memory.order[rank])));
  }
}

// How far the boxes of a class are moved per class, and whether those of two can then touch.
struct Shift {
  float step = 1;
  bool apart = false;
};

Shift shift_of(std::span<const Box> boxes, int32_t most) {
  float least = 0, largest = -INFINITY;
  bool finite = true;
  for (const Box& box : boxes) {
    for (const float value : {box.x1, box.y1, box.x2, box.y2}) {
      if (!std::isfinite(value)) {
        finite = false;
        continue;
      }
      least = std::min(least, value), largest = std::max(largest, value);
    }
  }
  if (largest == -INFINITY) largest = 0;
  const float step = largest + 1;
  // Below 2^23 numbers are 1/2 apart. Three roundings by 1/4 are less than the 1 that is added.
  const double end = (double{1} + most) * step;
  return {step, finite && least >= 0 && end <= 1 << 23};
}

}  // namespace

void NmsMemory::reserve(int64_t boxes, int64_t classes) {
  const auto count = static_cast<size_t>(boxes);
  order.reserve(count);
  for (auto* column : {&x1, &y1, &x2, &y2, &area}) column->reserve(count);
  gone.reserve(count), rank.reserve(count), kept.reserve(count);
  first.reserve(static_cast<size_t>(classes) + 1);
}

void nms(std::span<const Box> boxes, std::span<const float> scores, double threshold, int64_t limit,
         const ParallelFor& parallel, NmsMemory& memory, std::vector<int32_t>& kept) {
  limit = prepare(boxes, scores, threshold, limit, memory);
  for (size_t i = 0; i < boxes.size(); ++i) {
    set_column(memory, i, boxes[index_of_key(memory.order[i])], 0, static_cast<int32_t>(i));
  }
  greedy(memory, 0, static_cast<int64_t>(boxes.size()), static_cast<float>(threshold), limit,
         parallel);
  finish(memory, limit, kept);
}

void batched_nms(std::span<const Box> boxes, std::span<const float> scores,
                 std::span<const int32_t> classes, double threshold, int64_t limit,
                 const ParallelFor& parallel, NmsMemory& memory, std::vector<int32_t>& kept) {
  require(classes.size() == boxes.size(), ErrorCode::kInvalidArgument,
          "batched_nms: {} classes for {} boxes", classes.size(), boxes.size());
  limit = prepare(boxes, scores, threshold, limit, memory);
  if (boxes.empty()) return kept.clear();
  const auto [least, most] = std::ranges::minmax(classes);
  require(least >= 0 && most < kMostClasses, ErrorCode::kInvalidArgument,
          "batched_nms: class {}, must be 0..{}", least < 0 ? least : most, kMostClasses - 1);
  const Shift shift = shift_of(boxes, most);
  const auto moved = [&](size_t column, size_t rank) {
    const size_t i = index_of_key(memory.order[rank]);
    set_column(memory, column, boxes[i], static_cast<float>(classes[i]) * shift.step,
               static_cast<int32_t>(rank));
  };
  const auto limit_of_iou = static_cast<float>(threshold);
  if (boxes.size() < kManyBoxes && !shift.apart) {
    for (size_t rank = 0; rank < boxes.size(); ++rank) moved(rank, rank);
    greedy(memory, 0, static_cast<int64_t>(boxes.size()), limit_of_iou, limit, parallel);
    return finish(memory, limit, kept);
  }
  // The columns of a class side by side, by falling score.
  const auto of = [](int32_t value) { return static_cast<size_t>(value); };
  memory.first.assign(of(most) + 2, 0);
  for (const int32_t c : classes) ++memory.first[of(c) + 1];
  for (size_t c = 0; c <= of(most); ++c) memory.first[c + 1] += memory.first[c];
  for (size_t rank = 0; rank < boxes.size(); ++rank) {
    moved(of(memory.first[of(classes[index_of_key(memory.order[rank])])]++), rank);
  }
  // first[c] has become the end of class c.
  const auto body = [&](int64_t c) {
    const int64_t from = c == 0 ? 0 : memory.first[static_cast<size_t>(c) - 1];
    greedy(memory, from, memory.first[static_cast<size_t>(c)], limit_of_iou, limit, run_in_turn);
  };
  if (boxes.size() >= kBoxesForThreads) {
    parallel(int64_t{most} + 1, std::ref(body));
  } else {
    run_in_turn(int64_t{most} + 1, std::ref(body));
  }
  finish(memory, limit, kept);
}

}  // namespace asmlp::detect
