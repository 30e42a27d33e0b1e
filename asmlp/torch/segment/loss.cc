#include "asmlp/torch/segment/loss.h"

#include "asmlp/core/error.h"
#include "asmlp/core/tensor.h"
#include "asmlp/torch/segment/pixel_loss.h"

namespace asmlp::segment {
namespace {

torch::Tensor per_cent(const torch::Tensor& right, const torch::Tensor& counted) {
  return right * 100.0 / counted.clamp_min(1);
}

// The loss of one head's logits, and the pixels that are right, percent of those with a class.
struct HeadLoss {
  torch::Tensor loss, accuracy;
};

// By ATen's operators, for any device and type.
HeadLoss eager_loss(const torch::Tensor& logits, const torch::Tensor& labels,
                    const torch::Tensor& weights, const SegmentorConfig& config) {
  const auto targets = labels.to(logits.device(), torch::kInt64);
  const auto counted = targets != config.ignore_label;
  const auto wrong = targets.masked_select((targets >= config.num_classes) & counted);
  require(wrong.numel() == 0, ErrorCode::kInvalidArgument,
          "label {}: neither one of the {} classes nor {} (no class)",
          wrong.numel() > 0 ? wrong[0].item<int64_t>() : 0, config.num_classes,
          config.ignore_label);
  const auto resized = resize_like(logits, labels.unsqueeze(1));
  const auto sum = torch::cross_entropy_loss(resized, targets, weights, torch::Reduction::Sum,
                                             config.ignore_label);
  const torch::NoGradGuard no_grad;
  const auto right = (resized.argmax(1) == targets) & counted;
  return {sum, per_cent(right.sum(), counted.sum())};
}

HeadLoss loss_of_head(const torch::Tensor& logits, const torch::Tensor& labels, double loss_weight,
                      const SegmentorConfig& config) {
  const auto weights = config.class_weights.empty()
                           ? torch::Tensor()
                           : torch::tensor(config.class_weights, logits.options());
  HeadLoss head;
  if (logits.is_cpu() && logits.scalar_type() == torch::kFloat) {
    const PixelLoss pixels = pixel_loss(logits, labels, weights, config.ignore_label);
    head = {pixels.sum, per_cent(torch::tensor(pixels.right), torch::tensor(pixels.counted))};
  } else {
    head = eager_loss(logits, labels, weights, config);
  }
  head.loss = head.loss / static_cast<double>(labels.numel()) * loss_weight;
  return head;
}

}  // namespace

SegmentationLoss losses(const SegmentorOutput& output, const torch::Tensor& labels,
                        const SegmentorConfig& config) {
  require(labels.scalar_type() == torch::kUInt8 && labels.dim() == 3 &&
              labels.size(0) == output.decode.size(0),
          ErrorCode::kInvalidArgument, "labels {} {}: must be uint8 {{{}, height, width}}",
          c10::toString(labels.scalar_type()),
          to_string(Shape(labels.sizes().begin(), labels.sizes().end())), output.decode.size(0));
  const HeadLoss decode =
      loss_of_head(output.decode, labels, config.decode_head.loss_weight, config);
  SegmentationLoss loss{decode.loss, {}, decode.accuracy};
  if (output.auxiliary.defined()) {
    loss.auxiliary =
        loss_of_head(output.auxiliary, labels, config.auxiliary_head.loss_weight, config).loss;
  }
  return loss;
}

}  // namespace asmlp::segment
