// From images to the input of detectors and segmentors (model/dense_spec.h).
#pragma once

#include <span>

#include "asmlp/image/opencv/cv_resize.h"
#include "asmlp/model/dense_spec.h"

namespace asmlp {

// The size of the network's input for a resized image: the next multiples of input.pad_multiple.
CvSize padded_size(CvSize size, const DenseInput& input);

// Fills channels x padded_height x padded_width: (value - mean) * (1 / std) per channel of an RGB
// (or gray) image, rounded as mmcv's imnormalize does, then zeros to the right and below.
// Errors: kMismatch when the image has other channels than `input`, kInvalidArgument when it does
// not fit or `planes` has another length.
void normalize_into(const Image& rgb, const DenseInput& input, int padded_height, int padded_width,
                    std::span<float> planes);

}  // namespace asmlp
