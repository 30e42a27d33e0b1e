#include "asmlp/torch/detect/model/losses.h"

#include <algorithm>

#include "asmlp/torch/detect/ops/iou.h"

namespace asmlp::detect {
namespace {

// Summed over boxes and coordinates. All P x 4.
torch::Tensor box_loss(const torch::Tensor& deltas, const torch::Tensor& boxes,
                       const torch::Tensor& gts, const BoxLossConfig& config,
                       const BoxCoder& coder) {
  switch (config.kind) {
    case BoxLossKind::kL1:
      return (deltas - encode(coder, boxes, gts)).abs().sum();
    case BoxLossKind::kSmoothL1:
      return torch::smooth_l1_loss(deltas, encode(coder, boxes, gts), at::Reduction::Sum,
                                   config.beta);
    case BoxLossKind::kGiou:
      return (1 - generalized_iou(decode(coder, boxes, deltas), gts)).sum();
  }
  fail(ErrorCode::kInvalidArgument, "box_loss: kind {} is unknown", static_cast<int>(config.kind));
}

}  // namespace

RpnTargets rpn_targets(const torch::Tensor& anchors, const torch::Tensor& usable,
                       const torch::Tensor& gts, const MatchConfig& match,
                       const SampleConfig& sampling, data::Random& random) {
  const torch::NoGradGuard no_grad;
  check_boxes("rpn_targets: anchors", anchors);
  require(usable.dim() == 1 && usable.size(0) == anchors.size(0) &&
              usable.scalar_type() == torch::kBool,
          ErrorCode::kInvalidArgument, "rpn_targets: usable is {}, must be {} of type bool",
          shape_of(usable), anchors.size(0));
  const auto index = usable.nonzero().squeeze(1);
  const auto assigned = assign(anchors.index_select(0, index), gts, match);
  const Sample chosen = sample(assigned.gt, sampling, random);
  return {{index.index_select(0, chosen.positives), index.index_select(0, chosen.negatives)},
          gts.index_select(0, assigned.gt.index_select(0, chosen.positives))};
}

ClassAndBoxLoss rpn_losses(const torch::Tensor& logits, const torch::Tensor& deltas,
                           const torch::Tensor& anchors, const std::vector<RpnTargets>& targets,
                           const BoxLossConfig& config, const BoxCoder& coder) {
  check_boxes("rpn_losses: anchors", anchors);
  const int64_t images = static_cast<int64_t>(targets.size()), count = anchors.size(0);
  require(images > 0 && logits.sizes() == torch::IntArrayRef({images, count}) &&
              deltas.sizes() == torch::IntArrayRef({images, count, 4}),
          ErrorCode::kInvalidArgument,
          "rpn_losses: logits {} and deltas {} for {} images of {} anchors, must be B x A and "
          "B x A x 4",
          shape_of(logits), shape_of(deltas), images, count);
  std::vector<torch::Tensor> positives, negatives, boxes, gts;
  int64_t average = 0;
  for (int64_t image = 0; image < images; ++image) {
    const auto& [chosen, gt] = targets[image];
    positives.push_back(chosen.positives + image * count);
    negatives.push_back(chosen.negatives + image * count);
    boxes.push_back(anchors.index_select(0, chosen.positives));
    gts.push_back(gt);
    average += std::max<int64_t>(1, chosen.positives.size(0)) +
               std::max<int64_t>(1, chosen.negatives.size(0));
  }
  const auto positive = torch::cat(positives), negative = torch::cat(negatives);
  const auto values = widen(logits.reshape({-1}).index_select(0, torch::cat({positive, negative})));
  const auto wanted = torch::cat({torch::ones({positive.size(0)}, values.options()),
                                  torch::zeros({negative.size(0)}, values.options())});
  const auto entropy =
      torch::binary_cross_entropy_with_logits(values, wanted, {}, {}, at::Reduction::Sum);
  const auto offsets = widen(deltas.reshape({-1, 4}).index_select(0, positive));
  return {entropy / average, box_loss(offsets, torch::cat(boxes), torch::cat(gts), config, coder) *
                                 (config.weight / static_cast<double>(average))};
}

ClassAndBoxLoss box_head_losses(const torch::Tensor& logits, const torch::Tensor& deltas,
                                const std::vector<SampledRois>& images, const BoxLossConfig& config,
                                const BoxCoder& coder) {
  std::vector<torch::Tensor> labels, positives, boxes, gts;
  int64_t count = 0;
  for (const SampledRois& rois : images) {
    labels.push_back(rois.labels);
    positives.push_back(torch::arange(count, count + rois.positives(), rois.labels.options()));
    boxes.push_back(rois.positive_boxes());
    gts.push_back(rois.gt_boxes);
    count += rois.labels.size(0);
  }
  require(!images.empty() && logits.dim() == 2 && deltas.dim() == 2 && logits.size(0) == count &&
              deltas.size(0) == count && deltas.size(1) == 4 * (logits.size(1) - 1),
          ErrorCode::kInvalidArgument,
          "box_head_losses: logits {} and deltas {} for {} RoIs, must be R x (K + 1) and R x 4K",
          shape_of(logits), shape_of(deltas), count);
  const auto label = torch::cat(labels), positive = torch::cat(positives);
  const auto entropy =
      torch::nll_loss(torch::log_softmax(widen(logits), 1), label, {}, at::Reduction::Sum);
  const auto offsets =
      of_class(widen(deltas).index_select(0, positive), label.index_select(0, positive));
  const double average = static_cast<double>(std::max<int64_t>(1, count));
  return {entropy / average, box_loss(offsets, torch::cat(boxes), torch::cat(gts), config, coder) *
                                 (config.weight / average)};
}

torch::Tensor mask_loss(const torch::Tensor& logits, const torch::Tensor& labels,
                        const torch::Tensor& targets) {
  require(
      logits.dim() == 4 && labels.dim() == 1 && labels.size(0) == logits.size(0) &&
          targets.sizes() == torch::IntArrayRef({logits.size(0), logits.size(2), logits.size(3)}),
      ErrorCode::kInvalidArgument,
      "mask_loss: logits {}, labels {} and targets {}, must be P x K x h x w, P and P x h x w",
      shape_of(logits), shape_of(labels), shape_of(targets));
  const auto own = logits.index({torch::arange(logits.size(0), labels.options()), labels});
  const auto entropy = torch::binary_cross_entropy_with_logits(
      widen(own), targets.to(widen(own).scalar_type()), {}, {}, at::Reduction::Sum);
  return entropy / static_cast<double>(std::max<int64_t>(1, targets.numel()));
}

}  // namespace asmlp::detect
