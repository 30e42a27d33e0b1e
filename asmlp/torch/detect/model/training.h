// The training path of Mask R-CNN (He et al., ICCV 2017) and Cascade Mask R-CNN (Cai and
// Vasconcelos, CVPR 2018), and of both without masks: from a batch with its objects to the losses.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/torch/data/sample.h"
#include "asmlp/torch/detect/model/detector_net.h"

namespace asmlp::detect {

// Told of each part of the forward pass when it is done, with the tensors that it gave: "backbone",
// "pyramid", "RPN", "RPN losses", "proposals", and once per stage "box heads" and "mask heads".
using PartDone = std::function<void(const char* part, const std::vector<torch::Tensor>& results)>;

// How a detector computes a batch.
struct TrainingPass {
  uint64_t seed = 0;  // of the sampling of anchors and regions: the same seed, the same samples
  // Autocast's (nn/autocast.h) of backbone, neck and heads; what is between them is fp32.
  torch::ScalarType precision = torch::kFloat;
  PartDone done = {};  // for measurements
};

// The losses with their weights by the names of mmdetection's logs: loss_rpn_cls, loss_rpn_bbox,
// and loss_cls, loss_bbox, loss_mask, which in a cascade stand once per stage (s0.loss_cls, ...).
// Without masks there is no loss_mask.
using DetectorLosses = std::vector<std::pair<std::string, torch::Tensor>>;

// The losses of images N x channels x H x W (normalized, padded, on the network's device) whose
// objects stand in `infos`: of the proposals of the network itself (rpn.train_proposals, detached),
// which are assigned and sampled anew for every stage of the box heads as config.stages says. Their
// sum is what is trained; it depends on every parameter. loss_mask is the mean over the positives
// whose object has an outline, 0 when there are none; the other losses are of all objects. The
// network must be in training mode. Error(kInvalidArgument) unless `infos` has an entry with
// objects (possibly none) per image, whose labels are below config.num_classes, with masks where
// the network predicts them.
DetectorLosses detector_losses(DetectorNetImpl& net, const torch::Tensor& images,
                               const std::vector<data::ImageInfo>& infos, const TrainingPass& pass);

}  // namespace asmlp::detect
