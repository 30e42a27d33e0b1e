// Accuracy of a LibTorch model over a data set.
#pragma once

#include <functional>
#include <optional>

#include "asmlp/torch/data/evaluate_loop.h"
#include "asmlp/torch/nn/classifier.h"
#include "asmlp/torch/train/task.h"

namespace asmlp::train {

struct Evaluation : data::Evaluated {
  double top1 = 0;  // percent
  double top5 = 0;  // percent
  double loss = 0;  // mean cross entropy, nats
};

// Told of each batch with its logits: n x classes, fp32, on the CPU.
using LogitsOf = std::function<void(const data::Batch& batch, const torch::Tensor& logits)>;

// The model over one epoch of the source, as data::evaluate_batches does it.
std::optional<Evaluation> evaluate(nn::ClassifierImpl& model, const data::BatchSource& source,
                                   dist::World& world, const ValidationOptions& options = {},
                                   const LogitsOf& each = {});

}  // namespace asmlp::train
