// What every image classifier of this project is to the trainer.
#pragma once

#include <torch/torch.h>

#include <memory>

#include "asmlp/core/error.h"

namespace asmlp::nn {

class ClassifierImpl : public torch::nn::Module {
 public:
  // Normalized images N x in_chans x H x W to logits N x num_classes (pooled features without
  // classes). Error(kInvalidArgument) for another shape, or for a size that the model cannot take.
  virtual torch::Tensor forward(const torch::Tensor& images) = 0;

  // Activation checkpointing: what happens inside a block is computed again in backward instead of
  // kept. Off at first. Error(kUnsupported) for models that do not have it.
  virtual void set_checkpointing(bool on) {
    require(!on, ErrorCode::kUnsupported,
            "this model has no activation checkpointing; leave out grad-checkpointing");
  }
};

using Classifier = std::shared_ptr<ClassifierImpl>;

}  // namespace asmlp::nn
