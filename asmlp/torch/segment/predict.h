// What a segmentor sees on a picture: the class of every pixel, at the picture's own resolution.
//
// The tests of the authors' AS-MLP-Semantic-Segmentation (mmseg 0.11.0: whole, slide, and
// MultiScaleFlipAug), computed band by band: however many pixels and classes there are, no map of
// all logits is ever made.
#pragma once

#include "asmlp/image/image.h"
#include "asmlp/model/dense_spec.h"
#include "asmlp/segmentation/predict.h"
#include "asmlp/torch/segment/segmentor_net.h"
#include "asmlp/torch/segment/window_logits.h"

namespace asmlp::segment {

// Labels 0..num_classes-1, H x W x 1. Each view is resized with its ratio kept (sides
// int(ratio * input.short_side), int(ratio * input.long_side)); its logits are resized to the
// view's size and then to the picture's, bilinear both times. Of several views the probabilities
// are averaged. The class of the largest value wins, the first of equal ones. `net` must be in
// evaluation mode; it runs on the device where its parameters are.
// Errors: kInvalidArgument for a picture without pixels, kMismatch when it has other channels than
// the network, kUnsupported for more than 255 classes.
Image predict(SegmentorNetImpl& net, const Image& picture, const DenseInput& input,
              const PredictOptions& options = {});

}  // namespace asmlp::segment
