#include "asmlp/torch/segment/segmentor_net.h"

namespace asmlp::segment {

SegmentorNetImpl::SegmentorNetImpl(const SegmentorConfig& config) : config_(config) {
  validate(config);
  std::vector<int> channels;
  for (int stage = 0; stage < config.backbone.num_stages(); ++stage) {
    channels.push_back(config.backbone.dim(stage));
  }
  const FcnHeadConfig& auxiliary = config.auxiliary_head;
  backbone_ = register_module("backbone", nn::Backbone(config.backbone));
  decode_head_ =
      register_module("decode_head", UperHead(config.decode_head, channels, config.num_classes));
  auxiliary_head_ = register_module(
      "auxiliary_head",
      FcnHead(auxiliary, channels[static_cast<size_t>(auxiliary.stage)], config.num_classes));
}

SegmentorOutput SegmentorNetImpl::heads(const std::vector<torch::Tensor>& maps) {
  SegmentorOutput output{decode_head_(maps), {}};
  if (is_training()) {
    output.auxiliary = auxiliary_head_(maps[static_cast<size_t>(config_.auxiliary_head.stage)]);
  }
  return output;
}

}  // namespace asmlp::segment
