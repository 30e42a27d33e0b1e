#include "asmlp/torch/segment/loss.h"

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"

namespace asmlp::segment {
namespace {

struct Target {
  torch::Tensor labels;   // int64, N x H x W
  int64_t ignored = 0;    // its label for pixels without class
  torch::Tensor weights;  // of the classes, or undefined
};

torch::Tensor cross_entropy(const torch::Tensor& logits, const Target& target) {
  const auto sum = torch::cross_entropy_loss(logits, target.labels, target.weights,
                                             torch::Reduction::Sum, target.ignored);
  return sum / static_cast<double>(target.labels.numel());
}

torch::Tensor accuracy(const torch::Tensor& logits, const Target& target) {
  const torch::NoGradGuard no_grad;
  const auto counted = target.labels != target.ignored;
  const auto right = (logits.argmax(1) == target.labels) & counted;
  return right.sum() * 100.0 / counted.sum().clamp_min(1);
}

Target checked(const torch::Tensor& labels, const torch::Tensor& logits,
               const SegmentorConfig& config) {
  require(labels.scalar_type() == torch::kUInt8 && labels.dim() == 3 &&
              labels.size(0) == logits.size(0),
          ErrorCode::kInvalidArgument, "labels {} {}: must be uint8 {{{}, height, width}}",
          c10::toString(labels.scalar_type()),
          to_string(Shape(labels.sizes().begin(), labels.sizes().end())), logits.size(0));
  Target target{labels.to(logits.device(), torch::kInt64), config.ignore_label, {}};
  if (!config.class_weights.empty()) {
    target.weights = torch::tensor(config.class_weights, logits.options());
  }
  const auto wrong = target.labels.masked_select((target.labels >= config.num_classes) &
                                                 (target.labels != target.ignored));
  require(wrong.numel() == 0, ErrorCode::kInvalidArgument,
          "label {}: neither one of the {} classes nor {} (no class)",
          wrong.numel() > 0 ? wrong[0].item<int64_t>() : 0, config.num_classes, target.ignored);
  return target;
}

}  // namespace

SegmentationLoss losses(const SegmentorOutput& output, const torch::Tensor& labels,
                        const SegmentorConfig& config) {
  const Target target = checked(labels, output.decode, config);
  const auto like = labels.unsqueeze(1);
  const auto decode = resize_like(output.decode, like);
  SegmentationLoss loss;
  loss.decode = cross_entropy(decode, target) * config.decode_head.loss_weight;
  loss.accuracy = accuracy(decode, target);
  if (output.auxiliary.defined()) {
    loss.auxiliary = cross_entropy(resize_like(output.auxiliary, like), target) *
                     config.auxiliary_head.loss_weight;
  }
  return loss;
}

}  // namespace asmlp::segment
