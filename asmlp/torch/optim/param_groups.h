// Which parameters belong to which layer, by their names: for freezing and for layer-wise rates.
#pragma once

#include <torch/torch.h>

#include <map>
#include <string>
#include <vector>

namespace asmlp::train {

// A parameter's place in the network, with or without "backbone." before its name.
struct ParameterPlace {
  // -1: of no stage. Else the stage whose output the parameter is a part of: the patch embedding is
  // of stage 0, a patch merging and the norm of a dense model's output (norm0, norm1, ...) of the
  // stage they come after.
  int stage = -1;
  // 0: the patch embedding. k: block k of L over all stages, counted from 1; the patch merging
  // after it, too. L + 1: what comes after the backbone's blocks, as the last norm, the norms of
  // the outputs, and heads.
  int layer = 0;
};

// Those of all parameters of AS-MLP or a baseline, or a detector or segmentor on them, by name.
// `stages` and `layers` (which is L + 1) are what has been found; a network without stages, as
// MLP-Mixer, has 0 of them.
struct ParameterPlaces {
  std::map<std::string, ParameterPlace> by_name;
  int stages = 0;
  int layers = 1;
};
ParameterPlaces parameter_places(const torch::nn::Module& module);

// Takes the gradient of the first `stages` stages' parameters away (requires_grad). 0: of none.
// Error(kInvalidArgument) when the network has fewer stages.
void freeze_stages(torch::nn::Module& module, int stages);

// Puts the submodules of the frozen stages into evaluation mode, where blocks are not dropped. To
// be called after every module.train().
void set_frozen_to_evaluation(torch::nn::Module& module, int stages);

// The factor of the learning rate by name: decay^(L + 1 - layer), timm's and BEiT's layer-wise
// decay with one layer per block. 1 for the heads.
std::map<std::string, double> layer_scales(const torch::nn::Module& module, double decay);

}  // namespace asmlp::train
