// The test path of Mask R-CNN (He et al., ICCV 2017) and Cascade Mask R-CNN (Cai and Vasconcelos,
// CVPR 2018), and of both without masks (Faster R-CNN, Cascade R-CNN): from images to objects.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "asmlp/detection/detection.h"
#include "asmlp/torch/data/sample.h"
#include "asmlp/torch/detect/model/detector_net.h"
#include "asmlp/torch/detect/ops/timings.h"

namespace asmlp::detect {

// The objects of each image of a batch, by falling score, as config.test has it.
//
// Proposals (rpn.test_proposals) go through the box head; in a cascade through one after the other,
// each moved by the deltas of its likeliest class in between, and the logits of all stages are
// averaged. Then follows select_detections (detection/select.h). The masks of what is left come
// from the regions box * scale, through the sigmoid, of the channel of the label; in a cascade the
// mean of the probabilities of all stages.
//
// Of Mask and Faster R-CNN, as in the authors' code, which takes them for what fills up a batch,
// proposals with y2 = 0 are not classified, and detections with y2 = 0 have an empty mask.
//
// `images` are normalized and padded (data/dense_input.h), `infos` has an entry per image. The
// network must be in evaluation mode: Error(kInvalidArgument). No gradient. The part times of a
// batch are added to `times`.
std::vector<std::vector<Detection>> detect(DetectorNetImpl& net, const torch::Tensor& images,
                                           const std::vector<data::ImageInfo>& infos,
                                           Timings* times = nullptr);

// Of one image.
std::vector<Detection> detect(DetectorNetImpl& net, const data::TensorSample& sample,
                              Timings* times = nullptr);

// What follows the backbone, whose maps are given.
std::vector<std::vector<Detection>> detect_on_maps(DetectorNetImpl& net,
                                                   const std::vector<torch::Tensor>& maps,
                                                   const std::vector<data::ImageInfo>& infos,
                                                   Timings* times = nullptr);

}  // namespace asmlp::detect
