#include "asmlp/torch/detect/ops/multiclass_nms.h"

#include "asmlp/torch/detect/ops/boxes.h"
#include "asmlp/torch/detect/ops/nms.h"

namespace asmlp::detect {

Detections multiclass_nms(const torch::Tensor& probabilities, const torch::Tensor& boxes,
                          const TestConfig& config) {
  const torch::NoGradGuard no_grad;
  require(probabilities.dim() == 2 && probabilities.size(1) >= 2 && boxes.dim() == 2 &&
              boxes.size(0) == probabilities.size(0) &&
              boxes.size(1) == 4 * (probabilities.size(1) - 1),
          ErrorCode::kInvalidArgument,
          "multiclass_nms: probabilities {} and boxes {}, must be R x (K + 1) and R x 4K",
          shape_of(probabilities), shape_of(boxes));
  const int64_t classes = probabilities.size(1) - 1;
  const auto scores = probabilities.slice(1, 0, classes);
  const auto found = (scores > config.score_threshold).nonzero().unbind(1);  // row, class
  const auto flat = found[0] * classes + found[1];
  const auto candidates = boxes.reshape({boxes.size(0) * classes, 4}).index_select(0, flat);
  const auto score = scores.reshape({-1}).index_select(0, flat);
  const auto kept = batched_nms(candidates, score, found[1], config.nms_iou, config.max_detections);
  return {candidates.index_select(0, kept), score.index_select(0, kept),
          found[1].index_select(0, kept)};
}

}  // namespace asmlp::detect
