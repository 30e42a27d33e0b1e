#include "asmlp/torch/train/tasks/evaluate.h"

#include <algorithm>
#include <chrono>

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
                                   dist::World& world, const ValidationOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const torch::NoGradGuard no_grad;
  const bool was_training = model.is_training();
  model.eval();
  TopKMeter mine;
  bool stopped = false;
  int64_t bad_samples = 0;
  data::BatchStream stream = source.start(0);
  while (!stopped) {
    const std::optional<data::Batch> batch = stream.next();
    if (!batch) break;
    bad_samples += batch->bad_samples;
    if (options.on_bad) std::ranges::for_each(batch->bad, options.on_bad);
    if (batch->targets.size(0) > 0) {
      const torch::Tensor logits = logits_of(model, batch->images, options);
      const size_t classes = logits.size(1);
      const float* row = logits.data_ptr<float>();
      const int64_t* targets = batch->targets.data_ptr<int64_t>();
      for (int64_t i = 0; i < logits.size(0); ++i) {
        mine.add({row + i * classes, classes}, static_cast<int>(targets[i]));
      }
    }
    stopped = options.progress && !options.progress(mine.count());
  }
  model.train(was_training);

  const auto [count, correct1, correct5, loss] = mine.sums();
  torch::Tensor sums = torch::tensor(
      {count, correct1, correct5, loss, double(bad_samples), stopped ? 1.0 : 0.0}, torch::kDouble);
  world.all_reduce(sums);
  const double* all = sums.data_ptr<double>();
  if (all[5] > 0) return std::nullopt;
  const TopKMeter meter = TopKMeter::from_sums({all[0], all[1], all[2], all[3]});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return Evaluation{meter.top1(),  meter.top5(),    meter.loss(),
                    meter.count(), int64_t(all[4]), seconds.count()};
}

}  // namespace asmlp::train
