// Names of tensors without what training programs put before them. Inside the weights layer only.
#pragma once

#include <string>
#include <vector>

#include "asmlp/core/tensor.h"

namespace asmlp {

// The model among the tensors of a file, under the authors' names. Taken off are: "module." of
// DistributedDataParallel and AveragedModel (with its n_averaged and what else averaging adds),
// "_orig_mod." of torch.compile, FSDP's and activation checkpointing's, in any combination; then
// whatever else stands before an AS-MLP's patch_embed.proj.weight ("model.", "net.", "encoder.",
// ...). Tensors beside that prefix are dropped. Of several models, averaged weights (a part "ema"
// in the prefix) come first, then the shortest prefix; gradients (under "grad.") come last.
// "backbone." stays where heads of a detector or segmentor, or nothing, is beside it; a
// classifier's head beside it ("head.fc.weight", "head.weight", "classifier.weight", "fc.weight")
// becomes the model's head. `notes` receives a sentence for what was dropped or chosen.
// Error(kBadFormat) when two names become the same one.
TensorMap unwrapped(TensorMap tensors, const std::string& what, std::vector<std::string>& notes);

}  // namespace asmlp
