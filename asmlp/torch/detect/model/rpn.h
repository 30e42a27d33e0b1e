// Between a detector's network and the operators: the steps that training and test share.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/model/detector_config.h"
#include "asmlp/torch/detect/model/rpn_head.h"
#include "asmlp/torch/detect/ops/anchors.h"
#include "asmlp/torch/detect/ops/proposals.h"

namespace asmlp::detect {

// The anchors of the network's maps, one entry per level, on the device of the maps (anchors.h).
std::vector<torch::Tensor> anchors_of(const DetectorConfig& config, const RpnOutput& output);

// What the network proposes for each image of a batch: `images` are their sizes without padding,
// `options` is rpn.train_proposals or rpn.test_proposals. No gradient. Error(kInvalidArgument)
// unless there is one size per image of the maps.
std::vector<ProposedRois> propose_all(const DetectorConfig& config, const RpnOutput& output,
                                      const std::vector<ImageSize>& images,
                                      const ProposalConfig& options);

// Pools `rois` (R x 5) from the levels of the pyramid that config.roi uses, to R x fpn_channels x
// bins x bins; `bins` is roi.box_size or roi.mask_size.
torch::Tensor pool_rois(const DetectorConfig& config, const std::vector<torch::Tensor>& pyramid,
                        const torch::Tensor& rois, int64_t bins);

}  // namespace asmlp::detect
