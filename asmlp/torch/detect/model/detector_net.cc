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
  const bool masks = has_masks(config.kind);
  for (size_t k = 0; k < config.stages.size(); ++k) {
    box.emplace_back(config.box_head, config.fpn_channels, config.roi.box_size, config.num_classes);
    if (masks) mask.emplace_back(config.mask_head, config.fpn_channels, config.num_classes);
  }
  const auto add = [&](const char* name, const auto& heads) {
    if (!is_cascade(config.kind)) {
      register_module(name, heads[0]);
      return;
    }
    const auto list = register_module(name, torch::nn::ModuleList());
    for (const auto& head : heads) list->push_back(head);
  };
  add("bbox_head", box);
  if (masks) add("mask_head", mask);
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
