// Multiply-adds as the papers on detection and segmentation count them: the rule of mmcv's
// get_model_complexity_info, with which mmdet's and mmseg's tools print them.
//
// One multiply-add counts 1. A convolution counts its products and, with bias, 1 per output; a
// linear layer its products; a GroupNorm 2 per element; ReLU and pooling modules 1 per element.
// Batch norm, GELU, resizing, shifts, RoIAlign and sums count nothing.
#pragma once

#include <cstdint>

#include "asmlp/model/config.h"
#include "asmlp/model/detector_config.h"
#include "asmlp/model/segmentor_config.h"

namespace asmlp {

// A kernel x kernel convolution that gives `positions` pixels.
constexpr int64_t conv_flops(int64_t in, int64_t out, int64_t kernel, int64_t positions,
                             bool bias = true) {
  return (in * kernel * kernel + (bias ? 1 : 0)) * out * positions;
}

// Convolution without bias, batch norm, ReLU.
constexpr int64_t conv_bn_relu_flops(int64_t in, int64_t out, int64_t kernel, int64_t positions) {
  return conv_flops(in, out, kernel, positions, false) + out * positions;
}

// One image of h x w pixels through the backbone (torch/nn/backbone.h), norms of the outputs
// included.
int64_t backbone_flops(const Config& config, int h, int w);

// Of one image of h x w pixels, with `boxes` regions through the box head and `masks` through the
// mask head, if there is one, of every stage. The defaults of the regions and 1280 x 800 pixels (w
// x h) are those of the published numbers: 260G for mask_rcnn_asmlp_tiny, 739G for
// cascade_asmlp_tiny.
int64_t multiply_adds(const DetectorConfig& config, int h, int w, int64_t boxes = 1000,
                      int64_t masks = 100);

// Of one image of h x w pixels through backbone and decode head; the auxiliary head is for training
// only. The published numbers are for 512 x 2048 (h x w): 937G for upernet_asmlp_tiny.
int64_t multiply_adds(const SegmentorConfig& config, int h, int w);

}  // namespace asmlp
