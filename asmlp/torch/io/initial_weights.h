// Starting a training from weights that exist: the one way for every task.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/model/description/description.h"

namespace asmlp::nn {

// Copies the weights of a file into the network `model`, whose description is `wanted`.
//   classifier  from a checkpoint of an AS-MLP (.safetensors, or the authors' .pth, as
//               weights/checkpoint.h reads them) or the backbone of a detector or segmentor; a
//               baseline from a file of its own kind.
//   detector,   from a whole network of the same task all tensors that have the network's names and
//   segmentor   shapes, else from any AS-MLP the backbone.
// The rows of the heads follow the names of the classes (class_rows.h): the heads are kept when the
// file has all classes of `wanted`, and start anew otherwise.
// Nothing depends on the image size, so weights from 224 pixels start a training at 384.
//
// Returns what a user should know: what was assumed, and what was left out. Error(kMismatch) when
// the backbone does not fit, naming the parameter.
std::vector<std::string> load_initial_weights(torch::nn::Module& model, const Description& wanted,
                                              const std::filesystem::path& path);

}  // namespace asmlp::nn
