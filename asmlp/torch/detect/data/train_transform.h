// The augmentation of a detector's training (the authors' configs, section "train_pipeline").
#pragma once

#include <array>
#include <vector>

#include "asmlp/torch/data/sample.h"
#include "asmlp/torch/data/augment/random.h"
#include "asmlp/torch/detect/data/objects.h"
#include "asmlp/model/dense_spec.h"

namespace asmlp::detect {

// The image is mirrored with probability `hflip`, then resized with its ratio kept (fitted_size of
// cv_image.h) so that the shorter side is one of `short_sides`, each equally likely, and the longer
// at most long_side. With probability crop_prob that is preceded by a resize to one of
// crop_short_sides (and long_side) and a crop: from `crop_size` = {least, most} the height and the
// width of the window are drawn independently, each a whole number in [min(least, side),
// min(most, side)] of the image's side, then its place. A window without any object is as good as
// another.
struct TrainTransformOptions {
  double hflip = 0.5;
  std::vector<int> short_sides{480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800};
  int long_side = 1333;
  double crop_prob = 0.5;
  std::vector<int> crop_short_sides{400, 500, 600};
  std::array<int, 2> crop_size{384, 600};
};

// Error(kInvalidArgument) naming the option: probabilities 0..1, sides 1..16384, crop_size[0] <=
// crop_size[1], short_sides not empty, crop_short_sides not empty unless crop_prob is 0.
void validate(const TrainTransformOptions& options);

// A training sample: the image transformed by valid options, then normalized and padded as `input`
// says (whose own sizes are those of tests), with boxes, labels and masks of the objects that are
// in it. Draws: flip, crop, [first short side, height, width, top, left of the crop,] short side.
data::TensorSample train_sample(ObjectImage image, const ObjectImage::MaskOf& mask_of,
                                const TrainTransformOptions& options, const DenseInput& input,
                                data::Random& random);

}  // namespace asmlp::detect
