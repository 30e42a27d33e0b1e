#include "asmlp/torch/detect/ops/nms.h"

#include "asmlp/torch/detect/ops/boxes.h"
#include "asmlp/torch/detect/ops/spans.h"

namespace asmlp::detect {
namespace {

void check(const char* what, const torch::Tensor& boxes, const torch::Tensor& scores) {
  check_boxes(what, boxes);
  require(scores.dim() == 1 && scores.size(0) == boxes.size(0), ErrorCode::kInvalidArgument,
          "{}: scores are {} for {} boxes", what, shape_of(scores), boxes.size(0));
}

torch::Tensor indices_for(const torch::Tensor& boxes, const std::vector<int32_t>& kept) {
  return tensor_of(kept).to(boxes.device(), torch::kInt64);
}

}  // namespace

torch::Tensor nms(const torch::Tensor& boxes, const torch::Tensor& scores, double threshold,
                  int64_t limit) {
  check("nms", boxes, scores);
  const auto dense = on_cpu(boxes), dense_scores = on_cpu(scores);
  NmsMemory memory;
  std::vector<int32_t> kept;
  nms(boxes_in(dense), floats_of(dense_scores), threshold, limit, on_torch_threads, memory, kept);
  return indices_for(boxes, kept);
}

torch::Tensor batched_nms(const torch::Tensor& boxes, const torch::Tensor& scores,
                          const torch::Tensor& classes, double threshold, int64_t limit) {
  check("batched_nms", boxes, scores);
  check_rows("batched_nms: classes", classes, boxes.size(0));
  const auto dense = on_cpu(boxes), dense_scores = on_cpu(scores);
  const auto labels = classes.to(torch::kCPU, torch::kInt32).contiguous();
  NmsMemory memory;
  std::vector<int32_t> kept;
  batched_nms(boxes_in(dense), floats_of(dense_scores),
              {labels.data_ptr<int32_t>(), static_cast<size_t>(labels.numel())}, threshold, limit,
              on_torch_threads, memory, kept);
  return indices_for(boxes, kept);
}

}  // namespace asmlp::detect
