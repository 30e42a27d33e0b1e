#include "asmlp/detection/select.h"

#include <algorithm>
#include <cmath>

#include "asmlp/core/error.h"
#include "asmlp/detection/finite.h"

namespace asmlp::detect {

void SelectMemory::reserve(int64_t regions, int num_classes, const TestConfig& config) {
  const double per_region =
      std::min<double>(num_classes, std::ceil(1 / std::max(config.score_threshold, 1e-9)));
  const int64_t most = regions * static_cast<int64_t>(per_region);
  const auto count = static_cast<size_t>(most);
  candidates.boxes.reserve(count), candidates.scores.reserve(count);
  candidates.labels.reserve(count);
  kept.reserve(std::min(count, static_cast<size_t>(config.max_detections)));
  nms.reserve(most, num_classes);
}

std::array<float, 4> scale_of(const InputSizes& sizes) {
  require(sizes.resized.height > 0 && sizes.resized.width > 0 && sizes.original.height > 0 &&
              sizes.original.width > 0,
          ErrorCode::kInvalidArgument, "detect: an image of {} x {}, {} x {} in the file",
          sizes.resized.height, sizes.resized.width, sizes.original.height, sizes.original.width);
  const auto ratio = [](int64_t resized, int64_t original) {
    return static_cast<float>(static_cast<double>(resized) / static_cast<double>(original));
  };
  const float x = ratio(sizes.resized.width, sizes.original.width);
  const float y = ratio(sizes.resized.height, sizes.original.height);
  return {x, y, x, y};
}

void softmax_rows(float* rows, int64_t stride, int64_t count, int n) {
  for (int64_t row = 0; row < count; ++row, rows += stride) {
    float largest = -INFINITY, sum = 0;
    for (int i = 0; i < n; ++i) largest = std::max(largest, rows[i]);
    for (int i = 0; i < n; ++i) {
      rows[i] = std::exp(rows[i] - largest);
      sum += rows[i];
    }
    for (int i = 0; i < n; ++i) rows[i] /= sum;
  }
}

void select_detections(std::span<const Box> regions, const float* probabilities,
                       int64_t probability_stride, const float* deltas, int64_t delta_stride,
                       int num_classes, const BoxCoder& coder, ImageSize clip,
                       std::array<float, 4> scale, const TestConfig& config, SelectMemory& memory,
                       Found& found) {
  require(num_classes > 0, ErrorCode::kInvalidArgument,
          "select_detections: {} classes, must be positive", num_classes);
  Found& candidates = memory.candidates;
  for (Found* part : {&candidates, &found}) {
    part->boxes.clear(), part->scores.clear(), part->labels.clear();
  }
  const auto threshold = static_cast<float>(config.score_threshold);
  for (const Box& region : regions) {
    for (int c = 0; c < num_classes; ++c) {
      const float score = probabilities[c];
      if (!(score > threshold)) {
        require_finite(!std::isnan(score));
        continue;
      }
      const Box box = decode(coder, region, deltas + int64_t{4} * c, &clip);
      require_finite(is_finite(box));
      candidates.boxes.push_back(
          {box.x1 / scale[0], box.y1 / scale[1], box.x2 / scale[2], box.y2 / scale[3]});
      candidates.scores.push_back(score);
      candidates.labels.push_back(c);
    }
    probabilities += probability_stride, deltas += delta_stride;
  }
  batched_nms(candidates.boxes, candidates.scores, candidates.labels, config.nms_iou,
              config.max_detections, run_in_turn, memory.nms, memory.kept);
  for (const int32_t kept : memory.kept) {
    const auto i = static_cast<size_t>(kept);
    found.boxes.push_back(candidates.boxes[i]);
    found.scores.push_back(candidates.scores[i]);
    found.labels.push_back(candidates.labels[i]);
  }
}

}  // namespace asmlp::detect
