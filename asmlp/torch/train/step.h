// One step of a training: the micro-batches through the model, what the processes tell one another,
// and the update of the weights.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "asmlp/torch/data/batch_source.h"
#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/optim/grad_scaler.h"
#include "asmlp/torch/optim/optimizer.h"
#include "asmlp/torch/train/options.h"
#include "asmlp/torch/train/task.h"

namespace asmlp::train {

// Where a step is.
struct StepPlace {
  int epoch = 0;
  int64_t first_micro_batch = 0;  // of the step; counted in the run, over all processes
  double lr = 0;
};

// The same in every process, `bad` aside.
struct StepResult {
  double loss = 0;                                    // mean over the global batch
  std::vector<std::pair<std::string, double>> parts;  // of the loss, where it has some
  double gradient_norm = 0;                           // before clipping
  bool skipped = false;          // loss or gradient was not finite: the weights are as before
  bool stop = false;             // somebody was asked to stop
  double data_wait = 0;          // seconds, in this process: until the batches were there
  bool gave_up = false;          // in this process: the data did not come
  int64_t bad_samples = 0;       // in all processes
  std::vector<std::string> bad;  // named in this one
};

// What a step costs is its micro-batches; what the processes agree on beside the gradients is one
// sum of four numbers and the parts of the loss.
class Step {
 public:
  // The model is on `device`, and `loss` its loss, which depends on every parameter that requires a
  // gradient; `precision` is autocast's, and fp16 needs a scaler that is enabled.
  Step(const TrainOptions& options, std::shared_ptr<torch::nn::Module> model, LossFunction loss,
       dist::World& world, torch::Device device, torch::ScalarType precision, GradScaler scaler);

  // Takes the next accumulation_steps batches of the stream as micro-batches, then updates with the
  // mean gradient over them and over the processes: to rounding what one process computes on all
  // their images at once. `stop` is whether this process was asked to stop after the step.
  // Where `give_up` ends the wait for data (BatchStream::next), nothing is updated and gave_up set.
  StepResult run(data::BatchStream& stream, const StepPlace& place, bool stop,
                 const std::function<bool()>& give_up = nullptr);

  Optimizer& optimizer() { return optimizer_; }
  GradScaler& scaler() { return scaler_; }

 private:
  void backward(const torch::Tensor& loss, bool complete);

  const TrainOptions& options_;
  std::shared_ptr<torch::nn::Module> model_;
  LossFunction loss_;
  dist::World& world_;
  torch::Device device_;
  torch::ScalarType precision_;
  Optimizer optimizer_;
  GradScaler scaler_;
  std::unique_ptr<dist::GradientSync> sync_;
};

}  // namespace asmlp::train
