#include "asmlp/torch/detect/ops/refine.h"

namespace asmlp::detect {
namespace {

// argmax over the foreground, R.
torch::Tensor foreground(const torch::Tensor& logits, const torch::Tensor& boxes,
                         const torch::Tensor& deltas) {
  require(logits.dim() == 2 && deltas.dim() == 2 && logits.size(0) == boxes.size(0) &&
              deltas.size(0) == boxes.size(0) && logits.size(1) >= 2 &&
              deltas.size(1) == 4 * (logits.size(1) - 1),
          ErrorCode::kInvalidArgument,
          "refine_boxes: logits {} and deltas {}, must be {} x (K + 1) and {} x 4K",
          shape_of(logits), shape_of(deltas), boxes.size(0), boxes.size(0));
  return logits.slice(1, 0, logits.size(1) - 1).argmax(1);
}

}  // namespace

torch::Tensor refine_boxes(const BoxCoder& coder, const torch::Tensor& boxes,
                           const torch::Tensor& logits, const torch::Tensor& deltas,
                           ImageSize image) {
  const torch::NoGradGuard no_grad;
  check_boxes("refine_boxes: boxes", boxes);
  return decode(coder, boxes, of_class(deltas, foreground(logits, boxes, deltas)), image);
}

torch::Tensor refine_boxes(const BoxCoder& coder, const SampledRois& rois,
                           const torch::Tensor& logits, const torch::Tensor& deltas,
                           ImageSize image) {
  const torch::NoGradGuard no_grad;
  auto classes = foreground(logits, rois.boxes, deltas);
  classes.slice(0, 0, rois.positives()).copy_(rois.labels.slice(0, 0, rois.positives()));
  const auto moved = decode(coder, rois.boxes, of_class(deltas, classes), image);
  auto keep = torch::ones({moved.size(0)}, rois.is_gt.options());
  keep.slice(0, 0, rois.positives()).copy_(rois.is_gt.logical_not());
  return moved.index_select(0, keep.nonzero().squeeze(1));
}

}  // namespace asmlp::detect
