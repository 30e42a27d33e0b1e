// The weights of quantized layers, and scales that move between norms and weights.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/quantize/calibration.h"
#include "asmlp/quantize/histogram.h"

namespace asmlp {

// Replaces the weight of `layer` by the tensors of a quantized one (weights/quantized.h): q =
// round(w / scale), ties to even, scale = max |w| / 127 for every output channel.
void quantize_layer(TensorMap& tensors, const std::string& layer, const InputScale& input);

// Factors that make the columns of a layer's input alike: divides weight and bias of the norm
// before it by a power of two for each channel, and multiplies the columns of the layer's weight by
// it, so that a channel's part of the input's range and its part of the weight's range are as near
// to each other as powers of two allow. The numbers of the model in fp32 stay the same, bit for
// bit, while nothing over- or underflows. `ranges` (of the inputs) follow. Inputs that are no
// norm's output are left alone.
void equalize(TensorMap& tensors, std::span<const LayerInput> inputs,
              std::vector<ChannelRanges>& ranges);

}  // namespace asmlp
