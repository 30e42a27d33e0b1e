// The augmentation of a detector's training (the authors' configs, section "train_pipeline").
#pragma once

#include <array>
#include <vector>

#include "asmlp/model/dense_spec.h"
#include "asmlp/schema/option_info.h"
#include "asmlp/torch/data/augment/random.h"
#include "asmlp/torch/data/sample.h"
#include "asmlp/torch/detect/data/objects.h"

namespace asmlp::detect {

// The image is mirrored with probability `hflip`, top to bottom with probability `vflip`, then
// resized with its ratio kept (fitted_size of cv_image.h) so that the shorter side is one of
// `short_sides`, each equally likely, and the longer at most long_side. With probability crop_prob
// that is preceded by a resize to one of crop_short_sides (and long_side) and a crop: from
// `crop_size` = {least, most} the height and the width of the window are drawn independently, each
// a whole number in [min(least, side), min(most, side)] of the image's side, then its place. A
// window without any object is as good as another. `photometric`: the colors change last (distort
// of photometric.h).
struct TrainTransformOptions {
  double hflip = 0.5;
  double vflip = 0;
  std::vector<int> short_sides{480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800};
  int long_side = 1333;
  double crop_prob = 0.5;
  std::vector<int> crop_short_sides{400, 500, 600};
  std::array<int, 2> crop_size{384, 600};
  bool photometric = false;

  static void visit(auto& self, auto&& field) {
    constexpr FieldInfo kSide{.low = 1, .high = 16384}, kShare{.low = 0, .high = 1};
    field("hflip", self.hflip, OptionInfo{kShare, "Probability of a horizontal flip"});
    field("vflip", self.vflip,
          OptionInfo{kShare, "Probability of a vertical flip: where up and down mean nothing"});
    field("short-sides", self.short_sides,
          OptionInfo{kSide, "Short sides of the training images in pixels, one drawn per image"});
    field("long-side", self.long_side,
          OptionInfo{kSide, "Largest long side of the training images in pixels"});
    field("crop-prob", self.crop_prob,
          OptionInfo{kShare, "Probability that an image is cropped before it gets its size"});
    field("crop-short-sides", self.crop_short_sides,
          OptionInfo{kSide, "Short sides before the crop, one drawn per image"});
    field("crop-size", self.crop_size,
          OptionInfo{kSide, "Sides of the crop in pixels, low high, as far as the image reaches"});
    field("photometric", self.photometric,
          OptionInfo{{}, "Distort brightness, contrast, saturation and hue"});
  }
};

// Error(kInvalidArgument) naming the option, its value and its range; crop_size has the lower value
// first, short_sides is not empty, crop_short_sides neither unless crop_prob is 0.
void validate(const TrainTransformOptions& options);

// A training sample: the image transformed by valid options, then normalized and padded as `input`
// says (whose own sizes are those of tests), with boxes, labels and masks of the objects that are
// in it; without masks when `mask_of` is empty. Draws: flip, [vertical flip,] crop, [first short
// side, height, width, top, left of the crop,] short side[, colors].
data::TensorSample train_sample(ObjectImage image, const ObjectImage::MaskOf& mask_of,
                                const TrainTransformOptions& options, const DenseInput& input,
                                data::Random& random);

}  // namespace asmlp::detect
