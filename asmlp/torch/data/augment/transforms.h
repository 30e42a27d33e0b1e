// Training augmentation: from a picture, decoded or not, to the network's input. What each step
// does and in which ranges: docs/augmentation.md.
//
// Every draw comes from the Random handed in, which the loader derives from (seed, epoch, sample):
// a sample's augmentation is the same whatever the number of workers.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "asmlp/dataset/dataset.h"
#include "asmlp/image/resize.h"
#include "asmlp/model/spec.h"
#include "asmlp/torch/data/augment/erasing.h"
#include "asmlp/torch/data/augment/rand_augment.h"
#include "asmlp/torch/data/augment/random.h"

namespace asmlp::data {

struct Augmentation {
  // Set: the image is brought to the network's size as for evaluation, zero-padded by this many
  // pixels on every side and cropped at random (small images). Unset: RandomResizedCrop.
  std::optional<int> crop_padding;
  std::array<double, 2> scale{0.08, 1.0};             // area of the crop, as a share of the image
  std::array<double, 2> ratio{3.0 / 4.0, 4.0 / 3.0};  // width / height of the crop
  // Of RandomResizedCrop and of RandAugment's warps; nothing: bilinear or bicubic, drawn per use.
  std::optional<Interpolation> interpolation = Interpolation::kBicubic;
  double hflip = 0.5;  // probability of a horizontal flip
  std::optional<RandAugment> rand_augment;
  double color_jitter = 0;          // strength, applied without RandAugment only
  double erase_probability = 0.25;  // probability of random erasing
  EraseMode erase_mode = EraseMode::kPixel;
  int erase_count = 1;  // most rectangles of one erasing
};

// torchvision's RandomResizedCrop.get_params: ten attempts at an area in `scale` and a log-uniform
// ratio, then the largest central crop whose ratio is allowed. The window lies inside the image.
Window random_resized_window(int height, int width, const std::array<double, 2>& scale,
                             const std::array<double, 2>& ratio, Random& random);

// Mirrors left and right in place.
void flip_horizontally(Image& image);

// The color that RandAugment's warps show outside the image: the mean, as 8 bits.
std::array<uint8_t, 3> fill_color(const Preprocessing& preprocessing);

// Crop, flip, RandAugment or color jitter, normalize, erase. Of an encoded sample only the crop is
// decoded; the result is the same. `out` holds C x size x size floats with C =
// preprocessing.mean.size().
void transform_for_training(const Sample& sample, const Preprocessing& preprocessing,
                            const Augmentation& augmentation, Random& random, std::span<float> out);

// The evaluation pipeline: resize the short side, center crop, normalize. `out` as above.
void transform_for_evaluation(const Image& image, const Preprocessing& preprocessing,
                              std::span<float> out);

}  // namespace asmlp::data
