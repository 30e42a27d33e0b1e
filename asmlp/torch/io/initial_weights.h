// Starting a training from weights that exist.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/torch/baselines/architecture.h"
#include "asmlp/torch/nn/classifier.h"

namespace asmlp::train {

// Copies the weights of a file into the model: a checkpoint of an AS-MLP (.safetensors, or the
// authors' .pth, as weights/checkpoint.h reads them), the backbone of a detector or segmentor on
// AS-MLP, or what RunFiles::write_model wrote for another architecture. The head keeps its
// initialisation when the file has none or its number of classes differs.
// Nothing depends on the image size, so weights from 224 pixels start a training at 384.
//
// Returns what a user should know: what was assumed, and that the head was left out. Error
// (kMismatch) naming the first parameter that is missing, unexpected or of another shape.
std::vector<std::string> load_initial_weights(torch::nn::Module& model,
                                              const nn::Architecture& architecture,
                                              const std::filesystem::path& path);

}  // namespace asmlp::train
