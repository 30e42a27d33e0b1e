// What a segmentor sees on an image: the class of every pixel, at the image's own resolution.
//
// The tests of the authors' AS-MLP-Semantic-Segmentation (mmseg 0.11.0: whole, slide, and
// MultiScaleFlipAug), computed band by band: however many pixels and classes there are, no map of
// all logits is ever made.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "asmlp/image/image.h"
#include "asmlp/model/dense_spec.h"

namespace asmlp::segment {

// Logits of the pixels of a map, the classes of a pixel side by side: pixel (y, x) begins at
// (y * width + x) * stride. Somebody else keeps them.
struct LogitView {
  const float* values = nullptr;
  int height = 0;
  int width = 0;
  int classes = 0;
  int64_t stride = 0;  // at least `classes`
};

// A network: the logits of one normalized input of channels x height x width. They must stay valid
// until its next call.
using Network = std::function<LogitView(std::span<const float> input, int height, int width)>;

// The scales of the published scores: the input's sides times these, mirrored or not.
inline constexpr double kTtaScales[]{0.5, 0.75, 1.0, 1.25, 1.5, 1.75};

}  // namespace asmlp::segment
