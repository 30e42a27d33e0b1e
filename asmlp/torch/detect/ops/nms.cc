#include "asmlp/torch/detect/ops/nms.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "asmlp/torch/detect/ops/boxes.h"

namespace asmlp::detect {
namespace {

// From here on batched_nms goes class by class (the authors' constant).
constexpr int64_t kManyBoxes = 10000;

// Boxes by descending score, one array per coordinate, so that the loop of suppress() vectorizes.
struct Columns {
  std::vector<float> x1, y1, x2, y2, area;

  explicit Columns(int64_t count) : x1(count), y1(count), x2(count), y2(count), area(count) {}
  int64_t size() const { return static_cast<int64_t>(x1.size()); }
  void set(int64_t i, const float* box) {
    x1[i] = box[0], y1[i] = box[1], x2[i] = box[2], y2[i] = box[3];
    area[i] = (box[2] - box[0]) * (box[3] - box[1]);
  }
};

// Marks those of the boxes [begin, end) that box `kept` suppresses. The marks are as wide as the
// coordinates: a narrower type would need packing.
void suppress(const Columns& boxes, int64_t kept, int64_t begin, int64_t end, float threshold,
              int32_t* gone) {
  const float left = boxes.x1[kept], top = boxes.y1[kept], right = boxes.x2[kept],
              bottom = boxes.y2[kept], own = boxes.area[kept];
  const float *x1 = boxes.x1.data(), *y1 = boxes.y1.data(), *x2 = boxes.x2.data(),
              *y2 = boxes.y2.data(), *area = boxes.area.data();
#pragma GCC ivdep
  for (int64_t i = begin; i < end; ++i) {
    const float from_x = left > x1[i] ? left : x1[i], to_x = right < x2[i] ? right : x2[i];
    const float from_y = top > y1[i] ? top : y1[i], to_y = bottom < y2[i] ? bottom : y2[i];
    const float width = to_x - from_x > 0 ? to_x - from_x : 0;
    const float height = to_y - from_y > 0 ? to_y - from_y : 0;
    const float shared = width * height;
    gone[i] |= shared / (own + area[i] - shared) > threshold ? 1 : 0;
  }
}

// Positions of the boxes that are kept, ascending, `limit` at most. A block of boxes is decided one
// by one; its survivors then go through all later boxes, spread over the threads.
std::vector<int64_t> greedy(const Columns& boxes, float threshold, int64_t limit) {
  constexpr int64_t kBlock = 64, kGrain = 4096;
  std::vector<int32_t> gone(boxes.size());
  std::vector<int64_t> kept, survivors;
  for (int64_t begin = 0; begin < boxes.size(); begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, boxes.size());
    survivors.clear();
    for (int64_t i = begin; i < end; ++i) {
      if (gone[i]) continue;
      if (static_cast<int64_t>(kept.size()) == limit) return kept;
      kept.push_back(i);
      survivors.push_back(i);
      suppress(boxes, i, i + 1, end, threshold, gone.data());
    }
    at::parallel_for(end, boxes.size(), kGrain, [&](int64_t from, int64_t to) {
      for (int64_t i : survivors) suppress(boxes, i, from, to, threshold, gone.data());
    });
  }
  return kept;
}

int64_t checked_limit(const char* what, const torch::Tensor& boxes, const torch::Tensor& scores,
                      double threshold, int64_t limit) {
  check_boxes(what, boxes);
  require(scores.dim() == 1 && scores.size(0) == boxes.size(0), ErrorCode::kInvalidArgument,
          "{}: scores are {} for {} boxes", what, shape_of(scores), boxes.size(0));
  require(threshold >= 0 && limit >= kKeepAll, ErrorCode::kInvalidArgument,
          "{}: threshold {} and limit {}, must be >= 0 and >= {}", what, threshold, limit,
          kKeepAll);
  return limit == kKeepAll ? boxes.size(0) : limit;
}

torch::Tensor descending(const torch::Tensor& scores) {
  return std::get<1>(scores.cpu().sort(/*stable=*/true, 0, /*descending=*/true));
}

torch::Tensor on_cpu(const torch::Tensor& boxes) {
  return boxes.detach().to(torch::kCPU, torch::kFloat).contiguous();
}

// The boxes of order[positions[0]], order[positions[1]], ...
Columns gather(const float* boxes, const int64_t* order, const std::vector<int64_t>& positions) {
  Columns columns(static_cast<int64_t>(positions.size()));
  for (size_t i = 0; i < positions.size(); ++i) columns.set(i, boxes + 4 * order[positions[i]]);
  return columns;
}

// Entries of `order` at the first `limit` positions, on the device of `like`.
torch::Tensor chosen(const torch::Tensor& order, std::vector<int64_t> positions, int64_t limit,
                     const torch::Tensor& like) {
  positions.resize(std::min<size_t>(positions.size(), limit));
  return order.index_select(0, torch::tensor(positions, torch::kInt64)).to(like.device());
}

}  // namespace

torch::Tensor nms(const torch::Tensor& boxes, const torch::Tensor& scores, double threshold,
                  int64_t limit) {
  const torch::NoGradGuard no_grad;
  limit = checked_limit("nms", boxes, scores, threshold, limit);
  const auto order = descending(scores), dense = on_cpu(boxes);
  std::vector<int64_t> all(boxes.size(0));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  const auto columns = gather(dense.data_ptr<float>(), order.data_ptr<int64_t>(), all);
  return chosen(order, greedy(columns, static_cast<float>(threshold), limit), limit, boxes);
}

torch::Tensor batched_nms(const torch::Tensor& boxes, const torch::Tensor& scores,
                          const torch::Tensor& classes, double threshold, int64_t limit) {
  const torch::NoGradGuard no_grad;
  limit = checked_limit("batched_nms", boxes, scores, threshold, limit);
  check_rows("batched_nms: classes", classes, boxes.size(0));
  if (boxes.size(0) == 0) return nms(boxes, scores, threshold, limit);
  require(classes.min().item<int64_t>() >= 0, ErrorCode::kInvalidArgument,
          "batched_nms: class {} is negative", classes.min().item<int64_t>());
  const auto plain = on_cpu(boxes);
  const auto moved = plain + (classes.cpu().to(torch::kFloat) * (plain.max() + 1)).unsqueeze(1);
  if (boxes.size(0) < kManyBoxes) {
    return nms(moved, scores, threshold, limit).to(boxes.device());
  }
  const auto order = descending(scores);
  const auto sorted_classes = classes.cpu().to(torch::kInt64).index_select(0, order);
  // Positions in `order` of each class, ascending.
  std::vector<std::vector<int64_t>> members(sorted_classes.max().item<int64_t>() + 1);
  for (int64_t i = 0; i < boxes.size(0); ++i) {
    members[sorted_classes.data_ptr<int64_t>()[i]].push_back(i);
  }
  at::parallel_for(0, static_cast<int64_t>(members.size()), 1, [&](int64_t from, int64_t to) {
    for (int64_t c = from; c < to; ++c) {
      const auto columns = gather(moved.data_ptr<float>(), order.data_ptr<int64_t>(), members[c]);
      auto kept = greedy(columns, static_cast<float>(threshold), limit);
      for (int64_t& position : kept) position = members[c][position];
      members[c] = std::move(kept);
    }
  });
  std::vector<int64_t> kept;
  for (const auto& positions : members) kept.insert(kept.end(), positions.begin(), positions.end());
  std::sort(kept.begin(), kept.end());
  return chosen(order, std::move(kept), limit, boxes);
}

}  // namespace asmlp::detect
