#include "asmlp/torch/detect/model/detector_net.h"

#include "asmlp/core/error.h"

namespace asmlp::detect {
namespace {

DetectorConfig validated(const DetectorConfig& config) {
  validate(config);
  return config;
}

}  // namespace

RoiHeadsImpl::RoiHeadsImpl(const DetectorConfig& config) {
  for (size_t k = 0; k < config.stages.size(); ++k) {
    box.emplace_back(config.box_head, config.fpn_channels, config.roi.box_size, config.num_classes);
    mask.emplace_back(config.mask_head, config.fpn_channels, config.num_classes);
  }
  if (config.kind == DetectorKind::kMaskRcnn) {
    register_module("bbox_head", box[0]);
    register_module("mask_head", mask[0]);
    return;
  }
  const auto box_list = register_module("bbox_head", torch::nn::ModuleList());
  const auto mask_list = register_module("mask_head", torch::nn::ModuleList());
  for (const auto& head : box) box_list->push_back(head);
  for (const auto& head : mask) mask_list->push_back(head);
}

DetectorNetImpl::DetectorNetImpl(const DetectorConfig& config) : config_(validated(config)) {
  std::vector<int> channels;
  for (int stage = 0; stage < config.backbone.num_stages(); ++stage) {
    channels.push_back(config.backbone.dim(stage));
  }
  const AnchorConfig& anchors = config.rpn.anchors;
  backbone_ = register_module("backbone", nn::Backbone(config.backbone));
  neck_ = register_module(
      "neck", Fpn(channels, config.fpn_channels, static_cast<int>(anchors.strides.size())));
  rpn_head_ = register_module("rpn_head", RpnHead(config.fpn_channels, config.rpn.channels,
                                                  static_cast<int>(anchors.ratios.size())));
  roi_head_ = register_module("roi_head", RoiHeads(config));
}

BoxOutput DetectorNetImpl::boxes(size_t stage, const torch::Tensor& pooled) {
  return roi_head_->box.at(stage)->forward(pooled);
}

torch::Tensor DetectorNetImpl::masks(size_t stage, const torch::Tensor& pooled) {
  return roi_head_->mask.at(stage)->forward(pooled);
}

}  // namespace asmlp::detect
