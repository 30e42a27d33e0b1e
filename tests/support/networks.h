// Detectors and segmentors of few weights, the same every time, without LibTorch.
#pragma once

#include "asmlp/model/params.h"
#include "asmlp/weights/fill.h"

namespace asmlp::test {

// By the fill rule, but for means of batch norms, which are near 0: no ReLU cuts off everything.
inline TensorMap filled(const std::vector<Param>& table) {
  TensorMap tensors;
  for (const Param& param : table) {
    const bool mean = param.name.ends_with("running_mean");
    tensors[param.name] = fill_tensor(mean ? param.name + ".bias" : param.name, param.shape);
  }
  return tensors;
}

inline Config small_backbone() {
  Config backbone;
  backbone.embed_dim = 8;
  backbone.depths = {1, 1, 1};
  return backbone;
}

inline DetectorSpec small_detector(DetectorKind kind) {
  DetectorSpec spec;
  spec.name = "small";
  spec.config = detector_config(kind, small_backbone());
  spec.config.num_classes = 3;
  spec.config.fpn_channels = spec.config.rpn.channels = 24;
  spec.config.rpn.anchors.strides = {4, 8, 16, 32};
  spec.config.roi.levels = 3;
  spec.config.box_head.conv_channels = spec.config.mask_head.channels = 16;
  spec.config.box_head.fc_channels = 20;
  spec.config.roi.box_size = 3;
  spec.config.roi.mask_size = 4;
  spec.preprocessing.short_side = 64;
  spec.preprocessing.long_side = 96;
  return spec;
}

inline SegmentorSpec small_segmentor() {
  SegmentorSpec spec;
  spec.name = "small";
  spec.config = upernet_config(small_backbone());
  spec.config.num_classes = 7;
  spec.config.decode_head.channels = 24;
  spec.config.auxiliary_head.stage = 1;
  spec.config.auxiliary_head.channels = 8;
  spec.preprocessing = segmentor_input();
  spec.preprocessing.short_side = 64;
  spec.preprocessing.long_side = 96;
  return spec;
}

}  // namespace asmlp::test
