// What a segmentor sees on an image: the class of every pixel, at the image's own resolution.
//
// The tests of the authors' AS-MLP-Semantic-Segmentation (mmseg 0.11.0: whole, slide, and
// MultiScaleFlipAug). Each view of the image is resized with its ratio kept; the network's logits
// are resized to the view's size (windows: to the window's, then their mean) and then to the
// image's, bilinear both times. Of several views the probabilities are averaged. The class of the
// largest value wins, the first of equal ones.
//
// All that is linear, so it is done in one step per line of the image, on the network's own map:
// there is no map of the logits of all pixels. Memory, besides the network's, the image, its views
// and the labels: of one view a window or two and, of the windows before, what overlaps with the
// next row of them; of several views their maps, or the rows of windows that a line needs; and for
// each thread one line of such maps.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "asmlp/detection/parallel.h"
#include "asmlp/image/image.h"
#include "asmlp/model/dense_spec.h"
#include "asmlp/segmentation/window.h"

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
// until its next call, the input need not.
using Network = std::function<LogitView(std::span<const float> input, int height, int width)>;

// The scales of the published scores: the input's sides times these, mirrored or not.
inline constexpr double kTtaScales[]{0.5, 0.75, 1.0, 1.25, 1.5, 1.75};

struct PredictOptions {
  bool multi_scale = false;  // views at all of kTtaScales instead of at 1
  bool flip = false;         // each view also mirrored
  // The views are the image's own size (times their scales) instead of the input's sides.
  bool full_size = false;
  std::optional<SlidingWindow> sliding = {};  // none: the network sees each view as a whole
};

// Labels 0..classes-1, H x W x 1. `network` runs on the calling thread; the rest is divided by
// `parallel`, and the labels do not depend on how. A logit that is not a number never wins; label 0
// where none is a number.
// Errors: kInvalidArgument for an image without pixels or options out of range, kMismatch when it
// has other channels than `input`, or the network gives other classes or an empty map, kUnsupported
// for more than 255 classes.
Image predict(const Image& image, const DenseInput& input, int classes, const Network& network,
              const PredictOptions& options = {},
              const detect::ParallelFor& parallel = detect::run_in_turn);

// The share of the pixels that each class has, 0..1; labels that are no class count as pixels only.
// All 0 for a map without pixels. Error(kInvalidArgument) unless `labels` has one channel and
// `classes` is 1..256.
std::vector<double> class_shares(const Image& labels, int classes);

}  // namespace asmlp::segment
