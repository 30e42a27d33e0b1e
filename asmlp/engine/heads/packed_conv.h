// The weights of a head's layer.
#pragma once

#include <string>

#include "asmlp/engine/packed_weights.h"

namespace asmlp {

// A convolution of stride 1 that keeps the size of its map, or a linear layer (kernel 1): the depth
// is [kernel * kernel taps][channels].
struct PackedConv {
  PackedMatrix matrix;
  int kernel = 1;
};

// Adds a convolution of any kernel; its `conv` stands for kernel * kernel taps.
void add_conv(WeightPacker& packer, PackedConv& conv, const TensorMap& tensors,
              const std::string& name);

}  // namespace asmlp
