#include "asmlp/torch/train/tasks/evaluate.h"

#include "asmlp/metrics/topk.h"
#include "asmlp/torch/ops/autocast.h"

namespace asmlp::train {
namespace {

torch::Tensor logits_of(nn::ClassifierImpl& model, const torch::Tensor& images,
                        const ValidationOptions& options) {
  const nn::AutocastGuard autocast(options.device.type(), options.precision);
  return model.forward(images.to(options.device)).to(torch::kCPU, torch::kFloat32).contiguous();
}

}  // namespace

std::optional<Evaluation> evaluate(nn::ClassifierImpl& model, const data::BatchSource& source,
                                   dist::World& world, const ValidationOptions& options,
                                   const LogitsOf& each) {
  TopKMeter mine;
  const auto done =
      data::evaluate_batches(model, source, world, options, [&](const data::Batch& batch) {
        const torch::Tensor logits = logits_of(model, batch.images, options);
        const size_t classes = logits.size(1);
        const float* row = logits.data_ptr<float>();
        const int64_t* targets = batch.targets.data_ptr<int64_t>();
        for (int64_t i = 0; i < logits.size(0); ++i) {
          mine.add({row + i * classes, classes}, static_cast<int>(targets[i]));
        }
        if (each) each(batch, logits);
      });
  if (!done) return std::nullopt;
  const std::vector<double> sums = data::sums_of_all(world, mine.sums());
  const TopKMeter meter = TopKMeter::from_sums({sums[0], sums[1], sums[2], sums[3]});
  return Evaluation{*done, meter.top1(), meter.top5(), meter.loss()};
}

}  // namespace asmlp::train
