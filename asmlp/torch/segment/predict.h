// What a segmentor of LibTorch sees on a picture (segmentation/predict.h).
#pragma once

#include "asmlp/segmentation/predict.h"
#include "asmlp/torch/segment/segmentor_net.h"

namespace asmlp::segment {

// predict of segmentation/predict.h with this network. `net` must be in evaluation mode, else
// Error(kInvalidArgument); it runs on the device where its parameters are.
Image predict(SegmentorNetImpl& net, const Image& picture, const DenseInput& input,
              const PredictOptions& options = {});

}  // namespace asmlp::segment
