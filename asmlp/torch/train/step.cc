#include "asmlp/torch/train/step.h"

#include <cmath>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/torch/data/mixup.h"
#include "asmlp/torch/nn/autocast.h"
#include "asmlp/torch/train/loss.h"

namespace asmlp::train {
namespace {

bool mixes(const TrainOptions& o, int epoch) {
  return (o.mixup > 0 || o.cutmix > 0) && (o.mixup_off_epoch == 0 || epoch < o.mixup_off_epoch);
}

}  // namespace

Step::Step(const TrainOptions& options, nn::Classifier model, dist::World& world,
           torch::Device device, torch::ScalarType precision, GradScaler scaler, int classes)
    : options_(options),
      model_(std::move(model)),
      world_(world),
      device_(device),
      precision_(precision),
      classes_(classes),
      optimizer_(*model_, options.weight_decay, options.opt_betas, options.opt_eps),
      scaler_(scaler) {
  world_.broadcast(model_->parameters());
  sync_ = world_.synchronize(model_->parameters());
}

torch::Tensor Step::loss_of(data::Batch& batch, int epoch, uint64_t pass) {
  // Drop path draws from LibTorch's generator: seeding it for each pass makes a resumed run draw
  // the same, and processes draw what the passes of a single one would.
  torch::manual_seed(data::derive_seed(options_.seed, {data::kSeedStep, pass}));
  const bool mix = mixes(options_, epoch);
  torch::Tensor targets = batch.targets;
  if (mix) {
    data::Random random(data::derive_seed(options_.seed, {data::kSeedMix, pass}));
    targets = data::mix_batch(batch.images, targets,
                              {.mixup = options_.mixup,
                               .cutmix = options_.cutmix,
                               .prob = options_.mixup_prob,
                               .switch_prob = options_.mixup_switch_prob,
                               .smoothing = options_.smoothing,
                               .classes = classes_},
                              random);
  }
  const torch::Tensor images = batch.images.to(device_);
  targets = targets.to(device_);
  const nn::AutocastGuard autocast(device_.type(), precision_);
  const torch::Tensor logits = model_->forward(images).to(torch::kFloat32);
  if (mix) return soft_target_cross_entropy(logits, targets);
  return torch::nn::functional::cross_entropy(
      logits, targets,
      torch::nn::functional::CrossEntropyFuncOptions().label_smoothing(options_.smoothing));
}

void Step::backward(const torch::Tensor& loss, bool complete) {
  // Multiplying by one would change nothing, and cost nothing either.
  const torch::Tensor share = loss * (scaler_.scale() / options_.accumulation_steps);
  sync_->before_backward(share, complete);
  try {
    share.backward();
  } catch (const std::exception& error) {
    world_.explain(error);
    throw;
  }
}

StepResult Step::run(data::BatchStream& stream, const StepPlace& place, bool stop) {
  const int passes = options_.accumulation_steps;
  StepResult result;
  // Loss, loss not finite, stop, bad samples: summed over the processes.
  double mine[4] = {0, 0, stop ? 1.0 : 0.0, 0};
  for (int pass = 0; pass < passes; ++pass) {
    std::optional<data::Batch> batch = stream.next();
    require(batch.has_value(), ErrorCode::kMismatch,
            "the data set ended in the middle of epoch {}: did it change on disk?", place.epoch);
    mine[3] += double(batch->bad_samples);
    result.bad.insert(result.bad.end(), batch->bad.begin(), batch->bad.end());
    const auto index =
        static_cast<uint64_t>(place.first_pass + int64_t{pass} * world_.size() + world_.rank());
    const torch::Tensor loss = loss_of(*batch, place.epoch, index);
    backward(loss, pass + 1 == passes);
    mine[0] += loss.item<double>() / passes;
  }
  mine[1] = std::isfinite(mine[0]) ? 0 : 1;

  torch::Tensor agreed = torch::tensor({mine[0], mine[1], mine[2], mine[3]}, torch::kDouble);
  world_.sum(agreed);
  const double* all = agreed.data_ptr<double>();
  result.loss = all[0] / world_.size();
  result.stop = all[2] > 0;
  result.bad_samples = static_cast<int64_t>(all[3]);
  // The gradients are the same everywhere by now, and so is their norm. Its division by the scale
  // is all the unscaling there is: the optimiser multiplies by it on the way.
  const double scale = scaler_.scale();
  result.gradient_norm = optimizer_.gradient_norm() / scale;
  const bool overflow = !std::isfinite(result.gradient_norm);
  result.skipped = all[1] > 0 || overflow;
  if (!result.skipped) {
    const bool clip = options_.clip_grad > 0 && result.gradient_norm > options_.clip_grad;
    optimizer_.step(place.lr, (clip ? options_.clip_grad / result.gradient_norm : 1.0) / scale);
  }
  scaler_.update(overflow);
  optimizer_.zero_grad(/*keep_memory=*/world_.size() > 1);
  return result;
}

}  // namespace asmlp::train
