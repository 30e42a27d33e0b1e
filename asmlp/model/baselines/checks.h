// What the counts and checks of the baselines share. For the files model/baseline_*.cc and the
// networks of torch/baselines.
#pragma once

#include <cstdint>

#include "asmlp/model/spec.h"
#include "asmlp/schema/range.h"

namespace asmlp {

// Elements of a linear layer or convolution patch: out * in, plus its bias.
inline int64_t linear_parameters(int64_t in, int64_t out) { return in * out + out; }

// For models whose weights fit one image size only: Error(kInvalidArgument) unless h and w are
// spec.preprocessing.size. `model` is the family's name in the message.
void check_image_size(int64_t h, int64_t w, const ModelSpec& spec, const char* model);

// Error(kInvalidArgument) unless patches of this side tile the image exactly.
void check_patches(int patch_size, const ModelSpec& spec);

}  // namespace asmlp
