#include "asmlp/torch/train/evaluate.h"

#include <chrono>

#include "asmlp/metrics/topk.h"
#include "asmlp/torch/data/transforms.h"

namespace asmlp::train {

std::optional<Evaluation> evaluate(nn::AsMlp& model, const data::Loader& loader,
                                   const EvaluationProgress& progress) {
  const auto start = std::chrono::steady_clock::now();
  const torch::NoGradGuard no_grad;
  const bool was_training = model->is_training();
  model->eval();
  TopKMeter meter;
  bool stopped = false;
  data::BatchStream stream = loader.start(0);
  while (!stopped) {
    std::optional<data::Batch> batch = stream.next();
    if (!batch) break;
    const torch::Tensor logits = model->forward(batch->images).contiguous();
    const size_t classes = logits.size(1);
    const float* row = logits.data_ptr<float>();
    const int64_t* targets = batch->targets.data_ptr<int64_t>();
    for (int64_t i = 0; i < logits.size(0); ++i) {
      meter.add({row + i * classes, classes}, static_cast<int>(targets[i]));
    }
    stopped = progress && !progress(meter.count());
  }
  model->train(was_training);
  if (stopped) return std::nullopt;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return Evaluation{meter.top1(), meter.top5(), meter.loss(), meter.count(), seconds.count()};
}

data::Loader evaluation_loader(const Dataset& dataset, const Preprocessing& preprocessing,
                               int batch_size, int workers) {
  data::LoaderOptions options;
  options.batch_size = batch_size;
  options.workers = workers;
  options.channels = static_cast<int>(preprocessing.mean.size());
  options.height = options.width = preprocessing.size;
  return data::Loader(
      dataset,
      [preprocessing](const Sample& sample, data::Random&, std::span<float> out) {
        data::transform_for_evaluation(sample.image, preprocessing, out);
      },
      options);
}

}  // namespace asmlp::train
