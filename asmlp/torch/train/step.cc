#include "asmlp/torch/train/step.h"

#include <chrono>
#include <cmath>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp::train {

Step::Step(const TrainOptions& options, std::shared_ptr<torch::nn::Module> model, LossFunction loss,
           dist::World& world, torch::Device device, torch::ScalarType precision, GradScaler scaler)
    : options_(options),
      model_(std::move(model)),
      loss_(std::move(loss)),
      world_(world),
      device_(device),
      precision_(precision),
      optimizer_(*model_, options.optimizer),
      scaler_(scaler) {
  world_.broadcast(model_->parameters());
  for (const torch::Tensor& buffer : model_->buffers()) world_.broadcast({buffer});
  std::vector<torch::Tensor> trained = model_->parameters();
  std::erase_if(trained, [](const torch::Tensor& p) { return !p.requires_grad(); });
  sync_ = world_.synchronize(trained);
}

void Step::backward(const torch::Tensor& loss, bool complete) {
  // Multiplying by one would change nothing, and cost nothing either.
  const torch::Tensor share = loss * (scaler_.scale() / options_.schedule.accumulation_steps);
  sync_->before_backward(share, complete);
  try {
    share.backward();
    sync_->after_backward();
  } catch (const std::exception& error) {
    world_.explain(error);
    throw;
  }
}

StepResult Step::run(data::BatchStream& stream, const StepPlace& place, bool stop,
                     const std::function<bool()>& give_up) {
  const int micro_batches = options_.schedule.accumulation_steps;
  StepResult result;
  // Loss, loss not finite, stop, bad samples, then the parts of the loss: summed over the
  // processes.
  std::vector<double> mine{0, 0, stop ? 1.0 : 0.0, 0};
  for (int i = 0; i < micro_batches; ++i) {
    const auto asked = std::chrono::steady_clock::now();
    std::optional<data::Batch> batch = stream.next(give_up);
    result.data_wait +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - asked).count();
    if (stream.gave_up()) {
      result.gave_up = true;
      return result;
    }
    require(batch.has_value(), ErrorCode::kMismatch,
            "the data set ended in the middle of epoch {}: did it change on disk?", place.epoch);
    mine[3] += double(batch->bad_samples);
    result.bad.insert(result.bad.end(), batch->bad.begin(), batch->bad.end());
    const auto index =
        static_cast<uint64_t>(place.first_micro_batch + int64_t{i} * world_.size() + world_.rank());
    // Drop path draws from LibTorch's generator: seeding it for each micro-batch makes a resumed
    // run draw the same, and processes draw what the micro-batches of a single one would.
    torch::manual_seed(data::derive_seed(options_.run.seed, {data::kSeedStep, index}));
    const ModelLoss loss = loss_(*batch, {place.epoch, index, device_, precision_});
    backward(loss.total, i + 1 == micro_batches);
    mine[0] += loss.total.item<double>() / micro_batches;
    mine.resize(4 + loss.parts.size());
    result.parts.resize(loss.parts.size());
    for (size_t part = 0; part < loss.parts.size(); ++part) {
      result.parts[part].first = loss.parts[part].first;
      mine[4 + part] += loss.parts[part].second.item<double>() / micro_batches;
    }
  }
  mine[1] = std::isfinite(mine[0]) ? 0 : 1;

  torch::Tensor agreed = torch::tensor(mine, torch::kDouble);
  world_.all_reduce(agreed);
  const double* all = agreed.data_ptr<double>();
  result.loss = all[0] / world_.size();
  result.stop = all[2] > 0;
  result.bad_samples = static_cast<int64_t>(all[3]);
  for (size_t i = 0; i < result.parts.size(); ++i) {
    result.parts[i].second = all[4 + i] / world_.size();
  }
  // The gradients are the same everywhere by now, and so is their norm. Its division by the scale
  // is all the unscaling there is: the optimizer multiplies by it on the way.
  const double scale = scaler_.scale();
  result.gradient_norm = optimizer_.gradient_norm() / scale;
  const bool overflow = !std::isfinite(result.gradient_norm);
  result.skipped = all[1] > 0 || overflow;
  if (!result.skipped) {
    const bool clip =
        options_.optimizer.clip_grad > 0 && result.gradient_norm > options_.optimizer.clip_grad;
    optimizer_.step(place.lr,
                    (clip ? options_.optimizer.clip_grad / result.gradient_norm : 1.0) / scale);
  }
  scaler_.update(overflow);
  optimizer_.zero_grad();
  return result;
}

}  // namespace asmlp::train
