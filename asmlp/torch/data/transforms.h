// Training augmentation: from a decoded image to the network's input.
//
// Every draw comes from the Random handed in, which the loader derives from (seed, epoch, sample):
// a sample's augmentation is the same whatever the number of workers.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "asmlp/image/image.h"
#include "asmlp/image/resize.h"
#include "asmlp/model/spec.h"
#include "asmlp/torch/data/random.h"

namespace asmlp::data {

// What a random-erased rectangle is filled with: zeros (the mean colour) or standard normal noise.
enum class EraseMode { kConst, kPixel };

struct Augmentation {
  // Set: the image is brought to the network's size as for evaluation, zero-padded by this many
  // pixels on every side and cropped at random (small images). Unset: RandomResizedCrop.
  std::optional<int> crop_padding;
  std::array<double, 2> scale{0.08, 1.0};             // area of the crop, as a share of the image
  std::array<double, 2> ratio{3.0 / 4.0, 4.0 / 3.0};  // width / height of the crop
  double hflip = 0.5;                                 // probability of a horizontal flip
  double erase_probability = 0.25;                    // probability of random erasing
  EraseMode erase_mode = EraseMode::kPixel;
};

// torchvision's RandomResizedCrop.get_params: ten attempts at an area in `scale` and a log-uniform
// ratio, then the largest central crop whose ratio is allowed. The window lies inside the image.
Window random_resized_window(int height, int width, const std::array<double, 2>& scale,
                             const std::array<double, 2>& ratio, Random& random);

// Mirrors left and right in place.
void flip_horizontally(Image& image);

// Random Erasing (Zhong et al. 2017, with timm's limits: 2 to 33 % of the area, ratio 0.3 to 3.3,
// ten attempts) on normalised channels x height x width values.
void erase_rectangle(std::span<float> values, int channels, int height, int width, EraseMode mode,
                     Random& random);

// crop, flip, normalise, erase. `out` holds C x size x size floats with C =
// preprocessing.mean.size().
void transform_for_training(const Image& image, const Preprocessing& preprocessing,
                            const Augmentation& augmentation, Random& random, std::span<float> out);

// The evaluation pipeline: resize the short side, centre crop, normalise. `out` as above.
void transform_for_evaluation(const Image& image, const Preprocessing& preprocessing,
                              std::span<float> out);

}  // namespace asmlp::data
