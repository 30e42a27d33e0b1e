// Layers in int8 (`asmlp quantize`): how a file holds them.
//
// A layer of quantizable_layers (model/params.h) is quantized when its weight is I8, of the usual
// shape, with values in -127..127. Three tensors go with it:
//   <layer>.weight_scale      F32 [out]  one per output channel
//   <layer>.input_scale       F32 [1]
//   <layer>.input_zero_point  I32 [1]    in -128..127
// The weight is then weight_scale[o] * q[o][i], and of the layer's input x the engine takes
// clamp(round(x * (1 / input_scale)) + input_zero_point, -128, 127), ties to even.
#pragma once

#include <string>
#include <vector>

#include "asmlp/core/cpu.h"
#include "asmlp/core/tensor.h"
#include "asmlp/model/detector_config.h"
#include "asmlp/model/segmentor_config.h"

namespace asmlp {

// The ends of the names of the tensors above, and the range that scales must be in, so that
// neither their inverses nor a product of two leaves fp32's normal numbers.
inline constexpr const char* kWeightScale = ".weight_scale";
inline constexpr const char* kInputScale = ".input_scale";
inline constexpr const char* kInputZeroPoint = ".input_zero_point";
inline constexpr float kLeastScale = 0x1p-60f, kGreatestScale = 0x1p60f;

// Whether the weight of a layer of this name is there in I8.
bool is_quantized(const TensorMap& tensors, const std::string& layer);
// Whether that of any layer is, whatever the model.
bool is_quantized(const TensorMap& tensors);

// The names of the companions of quantized layers of `config`, sorted.
std::vector<std::string> quantization_parameters(const Config& config, const TensorMap& tensors);
std::vector<std::string> quantization_parameters(const DetectorConfig& config,
                                                 const TensorMap& tensors);
std::vector<std::string> quantization_parameters(const SegmentorConfig& config,
                                                 const TensorMap& tensors);

// What is wrong with the quantized layers, whose weights have the right shapes: the first companion
// that is missing, of a wrong dtype or shape, not finite, or out of range; a weight of -128; layers
// that read the same map (conv2_1 and conv2_2 of the parallel connection) quantized unlike each
// other; another parameter in I8. "" when all is well. Every weight is read once; the pages of
// mapped tensors are given back.
std::string quantization_problem(const Config& config, const TensorMap& tensors);
// The same of a detector or segmentor without batch norms (fold_batch_norm.h).
std::string quantization_problem(const DetectorConfig& config, const TensorMap& tensors);
std::string quantization_problem(const SegmentorConfig& config, const TensorMap& tensors);

// What a model with these tensors computes in: int8 where layers are quantized and `wanted` is
// kInt8 or kFp32 (which is the default everywhere), else what is wanted. Error(kUnsupported) for
// another precision of quantized weights, and for kInt8 of others; `what` names the model.
Precision usable_precision(Precision wanted, const TensorMap& tensors, const std::string& what);

// The tensors with every quantized weight as fp32, q * weight_scale, and without companions.
TensorMap dequantized(const TensorMap& tensors);

// Error(kUnsupported) for tensors with quantized layers: for what computes with floating point
// weights only. `what` names the file, or is "".
void require_unquantized(const TensorMap& tensors, const std::string& what);

}  // namespace asmlp
