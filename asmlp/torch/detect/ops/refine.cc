#include "asmlp/torch/detect/ops/refine.h"

#include "asmlp/detection/refine.h"
#include "asmlp/torch/detect/ops/spans.h"

namespace asmlp::detect {
namespace {

void check(const torch::Tensor& logits, const torch::Tensor& boxes, const torch::Tensor& deltas) {
  check_boxes("refine_boxes: boxes", boxes);
  require(logits.dim() == 2 && deltas.dim() == 2 && logits.size(0) == boxes.size(0) &&
              deltas.size(0) == boxes.size(0) && logits.size(1) >= 2 &&
              deltas.size(1) == 4 * (logits.size(1) - 1),
          ErrorCode::kInvalidArgument,
          "refine_boxes: logits {} and deltas {}, must be {} x (K + 1) and {} x 4K",
          shape_of(logits), shape_of(deltas), boxes.size(0), boxes.size(0));
}

}  // namespace

torch::Tensor refine_boxes(const BoxCoder& coder, const torch::Tensor& boxes,
                           const torch::Tensor& logits, const torch::Tensor& deltas,
                           ImageSize image) {
  check(logits, boxes, deltas);
  const auto dense_boxes = on_cpu(boxes), dense_logits = on_cpu(logits),
             dense_deltas = on_cpu(deltas);
  std::vector<Box> moved;
  std::ranges::copy(boxes_in(dense_boxes), std::back_inserter(moved));
  refine_boxes(coder, moved, dense_logits.data_ptr<float>(), logits.size(1),
               dense_deltas.data_ptr<float>(), deltas.size(1), static_cast<int>(logits.size(1)) - 1,
               image);
  return tensor_of(moved).to(boxes.device());
}

torch::Tensor refine_boxes(const BoxCoder& coder, const SampledRois& rois,
                           const torch::Tensor& logits, const torch::Tensor& deltas,
                           ImageSize image) {
  const torch::NoGradGuard no_grad;
  check(logits, rois.boxes, deltas);
  auto classes = logits.slice(1, 0, logits.size(1) - 1).argmax(1);
  classes.slice(0, 0, rois.positives()).copy_(rois.labels.slice(0, 0, rois.positives()));
  const auto moved = decode(coder, rois.boxes, of_class(deltas, classes), image);
  auto keep = torch::ones({moved.size(0)}, rois.is_gt.options());
  keep.slice(0, 0, rois.positives()).copy_(rois.is_gt.logical_not());
  return moved.index_select(0, keep.nonzero().squeeze(1));
}

}  // namespace asmlp::detect
