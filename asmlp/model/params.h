// THE table of parameters: names are the official state-dict keys. Checkpoint checks, packing, the
// LibTorch modules' test and the fill rule all read it; nothing else spells a parameter's shape.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "asmlp/core/tensor.h"
#include "asmlp/model/config.h"
#include "asmlp/model/detector_config.h"
#include "asmlp/model/segmentor_config.h"

namespace asmlp {

struct Param {
  std::string name;     // e.g. "layers.0.blocks.1.axial_shift.conv2_1.weight"
  Shape shape;          // conv weights are [out, in, k, k], the head is [classes, features]
  bool trained = true;  // false for the buffers of batch norms
};

// Every parameter in the order of the official state dict (registration order).
std::vector<Param> parameter_table(const Config& config);

// The layers that `asmlp quantize` can make int8, in the order of the table: names without
// ".weight" of the matrix products of the blocks and of the patch mergings.
std::vector<std::string> quantizable_layers(const Config& config);
// Of a detector and of a segmentor: those of its backbone, and the convolutions and linear layers
// of its heads but the last ones, whose results are scores, boxes, and masks.
std::vector<std::string> quantizable_layers(const DetectorConfig& config);
std::vector<std::string> quantizable_layers(const SegmentorConfig& config);

// The table of a network whose batch norms were folded (weights/fold_batch_norm.h): what quantized
// files of detectors and segmentors hold.
std::vector<Param> without_batch_norms(const std::vector<Param>& table);

// parameter_table of a detector ("backbone.", "neck.", "rpn_head.", "roi_head.") and of a segmentor
// ("backbone.", "decode_head.", "auxiliary_head."), the buffers of their batch norms included.
std::vector<Param> parameter_table(const DetectorConfig& config);
std::vector<Param> parameter_table(const SegmentorConfig& config);

// Elements of the trained ones.
int64_t count_trained(const std::vector<Param>& table);

// Sum of the elements of parameter_table: 28,282,696 for AS-MLP-T.
int64_t parameter_count(const Config& config);

// Multiply-adds of one forward pass on an h x w image, by the formula of the authors' `flops()`
// (their GroupNorms and additions counted, GELU not): 4,358,553,600 for AS-MLP-T at 224 x 224.
// Like theirs it is for sizes that divide evenly; other sizes are counted on the padded maps.
int64_t multiply_adds(const Config& config, int h, int w);

}  // namespace asmlp
