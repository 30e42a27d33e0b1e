#include "asmlp/torch/detect/ops/sampler.h"

#include <algorithm>
#include <vector>

#include "asmlp/torch/detect/ops/boxes.h"

namespace asmlp::detect {
namespace {

// `count` of the indices where `mask` holds (all if there are no more), ascending.
torch::Tensor draw(const torch::Tensor& mask, int64_t count, data::Random& random) {
  const auto found = mask.nonzero().squeeze(1);
  if (found.size(0) <= count) return found;
  const auto on_cpu = found.cpu().contiguous();
  std::vector<int64_t> pool(on_cpu.data_ptr<int64_t>(),
                            on_cpu.data_ptr<int64_t>() + on_cpu.numel());
  const int64_t size = static_cast<int64_t>(pool.size());
  // The first steps of Fisher and Yates' shuffle.
  for (int64_t i = 0; i < count; ++i) std::swap(pool[i], pool[i + random.below(size - i)]);
  std::sort(pool.begin(), pool.begin() + count);
  return torch::tensor(at::ArrayRef<int64_t>(pool.data(), count), torch::kInt64).to(found.device());
}

}  // namespace

Sample sample(const torch::Tensor& gt, const SampleConfig& config, data::Random& random) {
  require(gt.dim() == 1 && gt.scalar_type() == torch::kInt64, ErrorCode::kInvalidArgument,
          "sample: assignments are {}, must be N of type int64", shape_of(gt));
  require(config.count >= 0 && config.positive_fraction >= 0 && config.positive_fraction <= 1,
          ErrorCode::kInvalidArgument,
          "sample: {} boxes with a fraction of {}, must be >= 0 and within [0, 1]", config.count,
          config.positive_fraction);
  const auto limit =
      static_cast<int64_t>(static_cast<double>(config.count) * config.positive_fraction);
  const auto positives = draw(gt >= 0, limit, random);
  return {positives, draw(gt == kNegative, config.count - positives.size(0), random)};
}

SampledRois sample_rois(const torch::Tensor& proposals, const torch::Tensor& gts,
                        const torch::Tensor& gt_labels, int64_t background,
                        const MatchConfig& match, const SampleConfig& sampling,
                        data::Random& random) {
  const torch::NoGradGuard no_grad;
  check_rows("sample_rois: labels of the ground truths", gt_labels, gts.size(0));
  auto boxes = widen(proposals);
  auto gt = assign(boxes, gts, match).gt;
  const int64_t added = sampling.add_truths ? gts.size(0) : 0;
  if (added > 0) {
    boxes = torch::cat({gts.to(boxes.options()), boxes});
    gt = torch::cat({torch::arange(added, gt.options()), gt});
  }
  const Sample chosen = sample(gt, sampling, random);
  SampledRois rois;
  rois.boxes = boxes.index_select(0, torch::cat({chosen.positives, chosen.negatives}));
  rois.gt = gt.index_select(0, chosen.positives);
  rois.gt_boxes = gts.to(boxes.options()).index_select(0, rois.gt);
  rois.is_gt = chosen.positives < added;
  const auto negative_labels =
      torch::full({chosen.negatives.size(0)}, background, gt_labels.options());
  rois.labels = torch::cat({gt_labels.index_select(0, rois.gt), negative_labels});
  return rois;
}

}  // namespace asmlp::detect
