// From what a box head says of regions to the detections of an image.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "asmlp/detection/box_coder.h"
#include "asmlp/detection/detection.h"
#include "asmlp/detection/nms.h"

namespace asmlp::detect {

// Detections by falling score.
struct Found {
  std::vector<Box> boxes;  // in pixels of the file
  std::vector<float> scores;
  std::vector<int> labels;
};

// Scratch memory of select_detections: beyond its results it allocates nothing for as many regions
// and classes as were reserved. (Of a region's probabilities, which add up to 1, fewer than 1 /
// threshold are above the threshold.)
struct SelectMemory {
  Found candidates;
  std::vector<int32_t> kept;
  NmsMemory nms;
  void reserve(int64_t regions, int num_classes, const TestConfig& config);
};

// Pixels of the network's input per pixel of the file: x, y, x, y; the quotients of width and
// height in double, rounded to fp32. Error(kInvalidArgument) unless all sides are positive.
std::array<float, 4> scale_of(const InputSizes& sizes);

// Softmax over the first n numbers of each row, in place, in fp32. A row with NaN or infinity
// becomes NaN (-infinity becomes 0 beside a number).
void softmax_rows(float* rows, int64_t stride, int64_t count, int n);

// Region r has the probabilities probabilities[r * probability_stride + c] of the classes and, last
// (c = num_classes), of the background, and the deltas deltas[r * delta_stride + 4 c + {0, 1, 2,
// 3}]. A region may be a detection of several classes: each with a probability above the score
// threshold is decoded, clipped to `clip`, divided by `scale`, and stands against others of its
// class (NMS); the best config.max_detections are found.
//
// Error(kInvalidArgument) when a probability of a class is NaN or a box above the threshold is not
// finite.
void select_detections(std::span<const Box> regions, const float* probabilities,
                       int64_t probability_stride, const float* deltas, int64_t delta_stride,
                       int num_classes, const BoxCoder& coder, ImageSize clip,
                       std::array<float, 4> scale, const TestConfig& config, SelectMemory& memory,
                       Found& found);

}  // namespace asmlp::detect
