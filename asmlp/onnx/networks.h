// AS-MLP, its detectors' convolutional part, and its segmentors as ONNX nodes. Each function reads
// like the module of the same name; outputs have the names that `asmlp forward` gives them.
#pragma once

#include <string>
#include <vector>

#include "asmlp/model/detector_config.h"
#include "asmlp/model/segmentor_config.h"
#include "asmlp/onnx/layers.h"

namespace asmlp {

// Maps of a backbone.
struct OnnxBackbone {
  // features[0] is the patch embedding, features[k] what stage k - 1 hands on: downsampled, but for
  // the last one.
  std::vector<GraphBuilder::Value> features;
  std::vector<GraphBuilder::Value> stages;  // what the blocks of each stage end with
};

// The nodes of a backbone whose tensors' names begin with `prefix`.
OnnxBackbone add_backbone(GraphBuilder& graph, OnnxLayers& layers, const Config& config,
                          const std::string& prefix, const GraphBuilder::Value& input);

// An output of the graph: [N, channels] or, with a stride, [N, channels, ceil(H / stride), ceil(W /
// stride)].
struct OnnxOutput {
  std::string name;
  GraphBuilder::Value value;
  int64_t channels = 0;
  int64_t stride = 0;
};

// "logits" of a classifier and, where it has no classes or `features` says so, "feature.k".
std::vector<OnnxOutput> add_classifier(GraphBuilder& graph, OnnxLayers& layers,
                                       const Config& config, const GraphBuilder::Value& input,
                                       bool features);

// "pyramid.k", "rpn.logits.k" [N, anchors, h, w] and "rpn.deltas.k" [N, 4 anchors, h, w].
std::vector<OnnxOutput> add_detector(GraphBuilder& graph, OnnxLayers& layers,
                                     const DetectorConfig& config,
                                     const GraphBuilder::Value& input);

// "logits" [N, classes, h, w] at the resolution of the first map.
std::vector<OnnxOutput> add_segmentor(GraphBuilder& graph, OnnxLayers& layers,
                                      const SegmentorConfig& config,
                                      const GraphBuilder::Value& input);

}  // namespace asmlp
