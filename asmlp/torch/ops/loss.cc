#include "asmlp/torch/ops/loss.h"

#include "asmlp/core/error.h"

namespace asmlp::train {

torch::Tensor soft_target_cross_entropy(const torch::Tensor& logits,
                                        const torch::Tensor& soft_targets) {
  require(logits.dim() == 2 && logits.sizes() == soft_targets.sizes(), ErrorCode::kMismatch,
          "logits of {} elements and soft targets of {} have different shapes", logits.numel(),
          soft_targets.numel());
  const torch::Tensor log_probabilities = torch::log_softmax(logits, 1, torch::kFloat32);
  return -(soft_targets * log_probabilities).sum(1).mean();
}

}  // namespace asmlp::train
