// What the layers that can be quantized read.
#pragma once

#include <string>
#include <vector>

#include "asmlp/engine/heads/detector_weights.h"
#include "asmlp/engine/heads/segmentor_weights.h"
#include "asmlp/engine/packed_weights.h"

namespace asmlp {

// The input of one layer, or of two that read the same map (conv2_1 and conv2_2 of the parallel
// connection) and therefore share its scale.
struct LayerInput {
  std::vector<std::string> layers;  // names, without ".weight"
  std::string norm;                 // name of the norm whose output it is, or ""
  int64_t depth = 0;                // values per row
};

// Those of a config, in the order of the forward pass: every layer of quantizable_layers once.
std::vector<LayerInput> layer_inputs(const Config& config);
std::vector<LayerInput> layer_inputs(const DetectorConfig& config);
std::vector<LayerInput> layer_inputs(const SegmentorConfig& config);

// The weights that read each of them, in the same order.
using InputReaders = std::vector<std::vector<const PackedMatrix*>>;
InputReaders input_readers(const Config& config, const BackboneWeights& weights);
InputReaders input_readers(const DetectorConfig& config, const DetectorWeights& weights);
InputReaders input_readers(const SegmentorConfig& config, const SegmentorWeights& weights);

}  // namespace asmlp
