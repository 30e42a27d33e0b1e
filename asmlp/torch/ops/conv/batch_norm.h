// Batch norm in training, over the batches of all processes together.
#pragma once

#include <torch/torch.h>

#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/ops/conv/conv.h"

namespace asmlp::nn {

// The running statistics: per channel, and the weight of a new batch in them.
struct RunningMoments {
  torch::Tensor mean, var;
  double momentum = 0.1;
};

// after((x - mean) / sqrt(var + eps) * weight + bias), with mean and biased variance over N, h and
// w of the maps of all processes; `running`, updated here, takes the unbiased variance. x is N x
// channels x h x w of any memory layout; N may be 0 in some of several processes. `world` is null
// for this process alone; else both directions are collective. It must outlive the backward pass.
//
// Gradients of several processes are those of the sum of their losses: that of x is complete, those
// of weight and bias are this process's part. Error(kInvalidArgument) with fewer than two values
// per channel in all; Error(kUnsupported) when gradients of several processes are differentiated
// again (those of one process are, to any order).
//
// On a CPU, in fp32 and fp64, channels-last, each direction is two passes over the map, ReLU
// included; everything else takes ATen's operators.
torch::Tensor fused_batch_norm(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, const RunningMoments& running, double eps,
                               AfterSum after, dist::World* world);

}  // namespace asmlp::nn
