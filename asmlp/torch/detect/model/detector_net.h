// Mask R-CNN and Cascade Mask R-CNN over AS-MLP, and Faster R-CNN and Cascade R-CNN, which are the
// same without mask heads: the networks. Anchors, proposals, RoIAlign,
// targets and losses are what happens between them.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/model/detector_config.h"
#include "asmlp/torch/detect/model/box_head.h"
#include "asmlp/torch/detect/model/fpn.h"
#include "asmlp/torch/detect/model/mask_head.h"
#include "asmlp/torch/detect/model/rpn_head.h"
#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/nn/backbone.h"

namespace asmlp::detect {

// The heads of the regions: names bbox_head and mask_head, for a cascade bbox_head.k and
// mask_head.k.
class RoiHeadsImpl : public torch::nn::Module {
 public:
  explicit RoiHeadsImpl(const DetectorConfig& config);
  std::vector<BoxHead> box;    // one per stage
  std::vector<MaskHead> mask;  // one per stage; none without masks
};
TORCH_MODULE(RoiHeads);

// Names backbone, neck, rpn_head, roi_head, below which they are those of the authors' checkpoints
// (mmdet's MaskRCNN, FasterRCNN and CascadeRCNN).
class DetectorNetImpl : public torch::nn::Module {
 public:
  // Initialized as the parts say. Error(kInvalidArgument) for a wrong config.
  explicit DetectorNetImpl(const DetectorConfig& config);

  // Images N x in_chans x H x W, normalized and padded, to the pyramid: one map N x fpn_channels x
  // h x w per stride of config.rpn.anchors (P2..P6).
  std::vector<torch::Tensor> features(const torch::Tensor& images) {
    return pyramid(backbone_(images));
  }
  // The second half of that: from the maps of the backbone.
  std::vector<torch::Tensor> pyramid(const std::vector<torch::Tensor>& maps) { return neck_(maps); }
  RpnOutput rpn(const std::vector<torch::Tensor>& pyramid) { return rpn_head_(pyramid); }

  // Stage k = 0 .. stages - 1. Pooled features N x fpn_channels x s x s with s = roi.box_size; and
  // roi.mask_size, which give logits N x num_classes x 2s x 2s (of detectors with masks).
  BoxOutput boxes(size_t stage, const torch::Tensor& pooled);
  torch::Tensor masks(size_t stage, const torch::Tensor& pooled);

  nn::Backbone& backbone() { return backbone_; }
  // The processes whose batches the batch norms of the box heads see together.
  void set_world(dist::World* world) { nn::set_world(*this, world); }
  const DetectorConfig& config() const { return config_; }

 private:
  DetectorConfig config_;
  nn::Backbone backbone_{nullptr};
  Fpn neck_{nullptr};
  RpnHead rpn_head_{nullptr};
  RoiHeads roi_head_{nullptr};
};
TORCH_MODULE(DetectorNet);

}  // namespace asmlp::detect
