#include "asmlp/torch/detect/ops/proposals.h"

#include "asmlp/torch/detect/ops/nms.h"

namespace asmlp::detect {

Proposals propose(const std::vector<torch::Tensor>& logits,
                  const std::vector<torch::Tensor>& deltas,
                  const std::vector<torch::Tensor>& anchors, const BoxCoder& coder, ImageSize image,
                  const ProposalConfig& config) {
  const torch::NoGradGuard no_grad;
  require(!logits.empty() && deltas.size() == logits.size() && anchors.size() == logits.size(),
          ErrorCode::kInvalidArgument,
          "propose: logits, deltas and anchors of {}, {} and {} levels, must be as many",
          logits.size(), deltas.size(), anchors.size());
  require(config.before_nms > 0 && config.kept > 0, ErrorCode::kInvalidArgument,
          "propose: {} anchors per level and {} per image, must be positive", config.before_nms,
          config.kept);
  std::vector<torch::Tensor> scores, offsets, from, levels;
  for (size_t level = 0; level < logits.size(); ++level) {
    const int64_t count = anchors[level].size(0);
    check_boxes("propose: anchors", anchors[level]);
    check_boxes("propose: deltas", deltas[level]);
    check_rows("propose: deltas", deltas[level], count);
    require(logits[level].dim() == 1 && logits[level].size(0) == count, ErrorCode::kInvalidArgument,
            "propose: logits are {}, must be one for each of {} anchors", shape_of(logits[level]),
            count);
    auto score = torch::sigmoid(widen(logits[level]));
    auto delta = widen(deltas[level]), anchor = anchors[level];
    if (count > config.before_nms) {
      const auto [sorted, order] = score.sort(/*stable=*/true, 0, /*descending=*/true);
      const auto best = order.slice(0, 0, config.before_nms);
      score = sorted.slice(0, 0, config.before_nms);
      delta = delta.index_select(0, best), anchor = anchor.index_select(0, best);
    }
    scores.push_back(score), offsets.push_back(delta), from.push_back(anchor);
    levels.push_back(torch::full({score.size(0)}, static_cast<int64_t>(level),
                                 score.options().dtype(torch::kInt64)));
  }
  auto boxes = decode(coder, torch::cat(from), torch::cat(offsets), image);
  auto score = torch::cat(scores), level = torch::cat(levels);
  if (config.min_size > 0) {
    const auto size = boxes.slice(1, 2, 4) - boxes.slice(1, 0, 2);
    const auto large = (size >= config.min_size).all(1).nonzero().squeeze(1);
    boxes = boxes.index_select(0, large), score = score.index_select(0, large);
    level = level.index_select(0, large);
  }
  const auto kept = batched_nms(boxes, score, level, config.nms_iou, config.kept);
  return {boxes.index_select(0, kept), score.index_select(0, kept)};
}

}  // namespace asmlp::detect
