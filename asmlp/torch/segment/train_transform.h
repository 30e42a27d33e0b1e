// A segmentor's training input: from an image with its labels to a crop of fixed size, as the
// authors' AS-MLP-Semantic-Segmentation makes it (mmseg 0.11.0: Resize, RandomCrop, RandomFlip,
// PhotoMetricDistortion, Normalize, Pad).
#pragma once

#include <array>

#include "asmlp/dataset/ade20k/ade20k.h"
#include "asmlp/model/dense_spec.h"
#include "asmlp/schema/option_info.h"
#include "asmlp/torch/data/augment/random.h"
#include "asmlp/torch/data/sample.h"

namespace asmlp::segment {

struct TrainTransformOptions {
  std::array<double, 2> ratio_range{0.5, 2.0};  // of the input's sides, drawn uniformly
  int crop = 512;                               // height and width of the result
  double cat_max_ratio = 0.75;                  // 1: any crop is taken
  double hflip = 0.5;                           // probability
  double vflip = 0;                             // probability
  bool photometric = true;

  static void visit(auto& self, auto&& field) {
    field("ratio-range", self.ratio_range,
          OptionInfo{{.high = 16, .above = 0},
                     "Scale of the training images, low high, times the model's test size"});
    field("crop", self.crop,
          OptionInfo{{.low = 1, .high = 16384}, "Side of the training crops in pixels"});
    field("cat-max-ratio", self.cat_max_ratio,
          OptionInfo{{.high = 1, .above = 0},
                     "Largest share of one class in a crop; ten crops are tried"});
    field("hflip", self.hflip,
          OptionInfo{{.low = 0, .high = 1}, "Probability of a horizontal flip"});
    field("vflip", self.vflip,
          OptionInfo{{.low = 0, .high = 1},
                     "Probability of a vertical flip: where up and down mean nothing"});
    field("photometric", self.photometric,
          OptionInfo{{}, "Distort brightness, contrast, saturation and hue"});
  }
};

// Throws Error(kInvalidArgument) naming the option, its value and the accepted range.
void validate(const TrainTransformOptions& options);

// In this order, every draw from `random`:
// - resized with its ratio kept to the sides int(r * input.short_side), int(r * input.long_side),
//   the image bilinear, the labels nearest;
// - cropped at random; a side smaller than the crop is kept whole. A window is drawn again, up to
//   ten times, unless it has two classes at least, the largest with less than cat_max_ratio of its
//   labeled pixels;
// - mirrored, distorted (distort of photometric.h), normalized;
// - padded to the right and below, the image with 0, the labels with 255.
// The sample's image is 3 x crop x crop, its target crop x crop; input.pad_multiple has no meaning.
// Error(kInvalidArgument) for an image without pixels.
data::TensorSample train_sample(const LabeledImage& sample, const DenseInput& input,
                                const TrainTransformOptions& options, data::Random& random);

}  // namespace asmlp::segment
