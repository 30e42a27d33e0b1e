// THE table of parameters: names are the official state-dict keys. Checkpoint checks, packing, the
// LibTorch modules' test and the fill rule all read it; nothing else spells a parameter's shape.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/model/config.h"

namespace asmlp {

struct Param {
  std::string name;  // e.g. "layers.0.blocks.1.axial_shift.conv2_1.weight"
  Shape shape;       // conv weights are [out, in, k, k], the head is [classes, features]
};

// Every parameter in the order of the official state dict (registration order).
std::vector<Param> parameter_table(const Config& config);

// Sum of the elements of parameter_table: 28,282,696 for AS-MLP-T.
int64_t parameter_count(const Config& config);

// Multiply-adds of one forward pass on an h x w image, by the formula of the authors' `flops()`
// (their GroupNorms and additions counted, GELU not): 4,358,553,600 for AS-MLP-T at 224 x 224.
// Like theirs it is for sizes that divide evenly; other sizes are counted on the padded maps.
int64_t multiply_adds(const Config& config, int h, int w);

}  // namespace asmlp
