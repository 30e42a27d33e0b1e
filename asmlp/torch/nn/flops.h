// Multiply-adds as the papers on detection and segmentation count them: the rule of mmcv's
// get_model_complexity_info, with which mmdet's and mmseg's tools print them.
//
// One multiply-add counts 1. A convolution counts its products and, with bias, 1 per output; a
// linear layer its products; a GroupNorm 2 per element; ReLU and pooling modules 1 per element.
// Batch norm, GELU, resizing, shifts, RoIAlign and sums count nothing.
#pragma once

#include <cstdint>

#include "asmlp/model/config.h"

namespace asmlp::nn {

// A kernel x kernel convolution that gives `positions` pixels.
constexpr int64_t conv_flops(int64_t in, int64_t out, int64_t kernel, int64_t positions,
                             bool bias = true) {
  return (in * kernel * kernel + (bias ? 1 : 0)) * out * positions;
}

// Convolution without bias, batch norm, ReLU.
constexpr int64_t conv_bn_relu_flops(int64_t in, int64_t out, int64_t kernel, int64_t positions) {
  return conv_flops(in, out, kernel, positions, false) + out * positions;
}

// One image of h x w pixels through the backbone (backbone.h), norms of the outputs included.
int64_t backbone_flops(const Config& config, int h, int w);

}  // namespace asmlp::nn
