// Losses of training.
#pragma once

#include <torch/torch.h>

namespace asmlp::train {

// Cross-entropy against distributions over the classes, mean over the batch (timm's
// SoftTargetCrossEntropy): logits and soft_targets are N x classes; computed in fp32 whatever the
// type of the logits.
torch::Tensor soft_target_cross_entropy(const torch::Tensor& logits,
                                        const torch::Tensor& soft_targets);

}  // namespace asmlp::train
