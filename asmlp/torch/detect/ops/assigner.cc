#include "asmlp/torch/detect/ops/assigner.h"

#include <algorithm>

#include "asmlp/torch/detect/ops/boxes.h"
#include "asmlp/torch/detect/ops/iou.h"

namespace asmlp::detect {
namespace {

// body(first, last, IoUs of `gts` with those boxes) for blocks of 2^18 pairs: 1 MB in fp32.
template <typename Body>
void for_ious(const torch::Tensor& gts, const torch::Tensor& boxes, const Body& body) {
  const int64_t step = std::max<int64_t>(1, (1 << 18) / std::max<int64_t>(1, gts.size(0)));
  for (int64_t begin = 0; begin < boxes.size(0); begin += step) {
    const int64_t end = std::min(begin + step, boxes.size(0));
    body(begin, end, pairwise_iou(gts, boxes.slice(0, begin, end)));
  }
}

}  // namespace

Assignment assign(const torch::Tensor& boxes, const torch::Tensor& gts, const MatchConfig& config) {
  const torch::NoGradGuard no_grad;
  check_boxes("assign: boxes", boxes);
  check_boxes("assign: ground truths", gts);
  const auto values = widen(boxes).options();
  const auto indices = values.dtype(torch::kInt64);
  auto best = torch::zeros({boxes.size(0)}, values);
  if (gts.size(0) == 0) return {torch::full({boxes.size(0)}, kNegative, indices), best};

  auto which = torch::zeros({boxes.size(0)}, indices);
  auto best_of_gt = torch::zeros({gts.size(0)}, values);
  for_ious(gts, boxes, [&](int64_t begin, int64_t end, const torch::Tensor& iou) {
    auto block = best.slice(0, begin, end), block_which = which.slice(0, begin, end);
    block.copy_(iou[0]);
    for (int64_t gt = 1; gt < gts.size(0); ++gt) {
      block_which.masked_fill_(iou[gt] > block, gt);
      at::maximum_out(block, block, iou[gt]);
    }
    best_of_gt = torch::maximum(best_of_gt, iou.amax(1));
  });
  auto result = torch::full({boxes.size(0)}, kIgnored, indices);
  result.masked_fill_(best < config.negative_iou, kNegative);
  result = torch::where(best >= config.positive_iou, which, result);
  if (config.low_quality) {
    const auto matched = (best_of_gt >= config.minimum_iou).nonzero().squeeze(1);
    const auto wanted = best_of_gt.index_select(0, matched).unsqueeze(1);
    if (matched.size(0) == 0) return {result, best};
    for_ious(gts.index_select(0, matched), boxes,
             [&](int64_t begin, int64_t end, const torch::Tensor& iou) {
               // The last of the ground truths that claim a box, or -1.
               const auto last =
                   torch::where(iou == wanted, matched.unsqueeze(1), torch::full({}, -1, indices))
                       .amax(0);
               auto block = result.slice(0, begin, end);
               block.copy_(torch::where(last >= 0, last, block));
             });
  }
  return {result, best};
}

}  // namespace asmlp::detect
