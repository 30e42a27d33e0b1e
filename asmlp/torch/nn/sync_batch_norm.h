// Batch norm over the batches of all processes together.
#pragma once

#include <torch/torch.h>

#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/ops/conv/batch_norm.h"

namespace asmlp::nn {

// In training, mean and variance of each channel are taken over N, H and W of the maps of all
// processes of the World; in evaluation, they are the running statistics. With one process, or
// before set_world, it is torch::nn::BatchNorm2d. Names, initialization (weight 1, bias 0) and
// running statistics (momentum 0.1, the unbiased variance) are those of torch.nn.SyncBatchNorm.
//
// Gradients of several processes are those of the sum of their losses: the gradient of x is
// complete, those of weight and bias are this process's part, to be summed or averaged like any
// other parameter's. The gradient cannot be differentiated again there: Error(kUnsupported).
class SyncBatchNorm2dImpl : public torch::nn::Module {
 public:
  static constexpr double kEps = 1e-5;
  static constexpr double kMomentum = 0.1;

  explicit SyncBatchNorm2dImpl(int channels);

  // The norm, then `after`. x is N x channels x H x W of any memory layout; N may be 0 in some of
  // the processes. In training with several processes it is collective, and so is its backward:
  // every process calls the same norms in the same order. Error(kInvalidArgument) for another
  // number of channels, or when training sees fewer than two values per channel.
  torch::Tensor forward(const torch::Tensor& x, AfterSum after = AfterSum::kNothing);

  // The processes to take statistics over; null for this one alone. It must outlive the last
  // backward pass.
  void set_world(dist::World* world) { world_ = world; }

  torch::Tensor weight, bias;               // channels
  torch::Tensor running_mean, running_var;  // channels
  torch::Tensor num_batches_tracked;        // int64 scalar

 private:
  dist::World* world_ = nullptr;
};
TORCH_MODULE(SyncBatchNorm2d);

// set_world on every SyncBatchNorm2d inside `net`. Weights and buffers (running statistics) must
// have been broadcast.
void set_world(torch::nn::Module& net, dist::World* world);

}  // namespace asmlp::nn
