// UPerNet over AS-MLP.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/model/segmentor_config.h"
#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/nn/backbone.h"
#include "asmlp/torch/segment/fcn_head.h"
#include "asmlp/torch/segment/uper_head.h"

namespace asmlp::segment {

struct SegmentorOutput {
  torch::Tensor decode;     // N x num_classes x h x w on the backbone's finest map
  torch::Tensor auxiliary;  // N x num_classes x h x w on the map of auxiliary_head.stage; undefined
                            // in evaluation
};

// Names backbone, decode_head, auxiliary_head, below which they are those of the authors'
// checkpoints (mmseg's EncoderDecoder).
class SegmentorNetImpl : public torch::nn::Module {
 public:
  // Initialized as the parts say. Error(kInvalidArgument) for a wrong config.
  explicit SegmentorNetImpl(const SegmentorConfig& config);

  // Images N x in_chans x H x W, normalized, any size. The logits cover the image padded to whole
  // patches; resize them (bilinear, corners not aligned) to the image or to its labels.
  SegmentorOutput forward(const torch::Tensor& images) { return heads(backbone_(images)); }
  // The second half of that: from the maps of the backbone.
  SegmentorOutput heads(const std::vector<torch::Tensor>& maps);

  nn::Backbone& backbone() { return backbone_; }
  // The processes whose batches the batch norms of the heads see together.
  void set_world(dist::World* world) { nn::set_world(*this, world); }
  const SegmentorConfig& config() const { return config_; }

 private:
  SegmentorConfig config_;
  nn::Backbone backbone_{nullptr};
  UperHead decode_head_{nullptr};
  FcnHead auxiliary_head_{nullptr};
};
TORCH_MODULE(SegmentorNet);

}  // namespace asmlp::segment
