// Detectors and segmentors for tests, small enough for a CPU.
#pragma once

#include "asmlp/model/detector_config.h"
#include "asmlp/model/segmentor_config.h"

namespace asmlp::detect {

inline DetectorSpec small_spec(DetectorKind kind) {
  Config backbone;
  backbone.embed_dim = 4;
  backbone.depths = {1, 1, 1};
  DetectorSpec spec;
  spec.config = detector_config(kind, backbone);
  spec.name = "small";
  spec.config.num_classes = 2;
  spec.config.fpn_channels = spec.config.rpn.channels = 6;
  spec.config.rpn.anchors.strides = {4, 8, 16, 32};
  spec.config.roi.levels = 3;
  spec.config.roi.box_size = 3;
  spec.config.roi.mask_size = 4;
  spec.config.box_head.conv_channels = 5;
  spec.config.box_head.fc_channels = 7;
  spec.config.mask_head.channels = 5;
  spec.classes = {"cat", "dog"};
  return spec;
}

}  // namespace asmlp::detect

namespace asmlp::segment {

inline SegmentorConfig small_segmentor_config(int classes = 5) {
  SegmentorConfig config;
  config.num_classes = classes;
  if (classes > config.ignore_label) config.ignore_label = -1;
  config.backbone.embed_dim = 8;
  config.backbone.depths = {1, 1, 1, 1};
  config.decode_head.channels = 8;
  config.auxiliary_head.channels = 8;
  return config;
}

// The pictures' short side becomes 40.
inline DenseInput small_input() {
  DenseInput input = segmentor_input();
  input.short_side = 40;
  input.long_side = 160;
  return input;
}

}  // namespace asmlp::segment
