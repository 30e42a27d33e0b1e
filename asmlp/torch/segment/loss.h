// The losses of a segmentor's training.
#pragma once

#include <torch/torch.h>

#include "asmlp/torch/segment/segmentor_net.h"

namespace asmlp::segment {

// Scalars.
struct SegmentationLoss {
  torch::Tensor decode;     // times decode_head.loss_weight
  torch::Tensor auxiliary;  // times auxiliary_head.loss_weight; undefined without its logits
  // Of the decode head: pixels that are right, percent of those with a class; 0 without any.
  torch::Tensor accuracy;
  torch::Tensor total() const { return auxiliary.defined() ? decode + auxiliary : decode; }
};

// `labels` are N x H x W, uint8: classes, or config.ignore_label. The logits of each head are
// resized to H x W (bilinear, corners not aligned); the loss is the sum of the cross entropies of
// all pixels with a class, divided by the number of all pixels, with or without.
// Error(kInvalidArgument) for labels of another shape or type, or outside the classes.
SegmentationLoss losses(const SegmentorOutput& output, const torch::Tensor& labels,
                        const SegmentorConfig& config);

}  // namespace asmlp::segment
