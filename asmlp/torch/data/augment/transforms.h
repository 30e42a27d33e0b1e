// Training augmentation: from a picture, decoded or not, to the network's input. What each step
// does and in which ranges: docs/guide/augmentation.md.
//
// Every draw comes from the Random handed in, which the loader derives from (seed, epoch, sample):
// a sample's augmentation is the same whatever the number of workers.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <utility>

#include "asmlp/dataset/dataset.h"
#include "asmlp/image/resize.h"
#include "asmlp/model/spec.h"
#include "asmlp/schema/option_info.h"
#include "asmlp/torch/data/augment/erasing.h"
#include "asmlp/torch/data/augment/rand_augment.h"
#include "asmlp/torch/data/augment/random.h"

namespace asmlp::data {

// How the crop of a JPEG is decoded: every pixel, as Pillow has it, or at the scale that it is
// resized to (decode_scaled_window).
enum class CropDecoding { kExact, kFast };
constexpr auto names_of(CropDecoding) {
  return std::array{std::pair{CropDecoding::kExact, "exact"},
                    std::pair{CropDecoding::kFast, "fast"}};
}

// The defaults are the authors' recipe for ImageNet.
struct Augmentation {
  CropDecoding decode = CropDecoding::kExact;
  // Set: the image is brought to the network's size as for evaluation, zero-padded by this many
  // pixels on every side and cropped at random (small images). Unset: RandomResizedCrop.
  std::optional<int> crop_padding;
  std::array<double, 2> scale{0.08, 1.0};             // area of the crop, as a share of the image
  std::array<double, 2> ratio{3.0 / 4.0, 4.0 / 3.0};  // width / height of the crop
  WarpInterpolation interpolation = WarpInterpolation::kBicubic;
  double hflip = 0.5;  // probability of a horizontal flip
  double vflip = 0;    // and of a vertical one
  std::optional<RandAugment> rand_augment =
      RandAugment{.magnitude = 9, .magnitude_std = 0.5, .increasing = true};
  double color_jitter = 0.4;        // strength, applied without RandAugment only
  double erase_probability = 0.25;  // probability of random erasing
  EraseMode erase_mode = EraseMode::kPixel;
  int erase_count = 1;  // most rectangles of one erasing

  static void visit(auto& self, auto&& field) {
    field("decode", self.decode,
          OptionInfo{{},
                     "JPEGs of training: exact (Pillow's bytes), or fast: a crop that is at least "
                     "twice as large as the input is decoded at 1/2, 1/4, or 1/8, as Pillow's "
                     "draft mode does; for photos of many megapixels",
                     OnResume::kWarns});
    field("crop-padding", self.crop_padding,
          OptionInfo{{.low = 0, .high = 4096},
                     "Zero-pad by this many pixels and crop at random, instead of the random "
                     "resized crop"});
    field("scale", self.scale,
          OptionInfo{{.high = 1, .above = 0}, "Area of the random resized crop, low high"});
    field("ratio", self.ratio,
          OptionInfo{{.above = 0}, "Aspect ratio of the random resized crop, low high"});
    field("interpolation", self.interpolation,
          OptionInfo{{},
                     "Of the random resized crop and of RandAugment's warps: bicubic, bilinear, or "
                     "random (either, per image)"});
    field("hflip", self.hflip,
          OptionInfo{{.low = 0, .high = 1}, "Probability of a horizontal flip"});
    field("vflip", self.vflip,
          OptionInfo{{.low = 0, .high = 1},
                     "Probability of a vertical flip: where up and down mean nothing"});
    field("aa", self.rand_augment,
          OptionInfo{{}, "RandAugment as timm writes it, e.g. rand-m9-mstd0.5-inc1; none is none"});
    field("color-jitter", self.color_jitter,
          OptionInfo{{.low = 0, .high = 1},
                     "Strength of color jitter; applied where aa is none, as in timm"});
    field("reprob", self.erase_probability,
          OptionInfo{{.low = 0, .high = 1}, "Probability of random erasing"});
    field("remode", self.erase_mode,
          OptionInfo{{}, "Random erasing fills with the mean (const) or with noise (pixel)"});
    field("recount", self.erase_count,
          OptionInfo{{.low = 1, .high = 64}, "Rectangles of one random erasing"});
  }
};

// Error(kInvalidArgument) naming the option, its value and its range; of a pair the lower value
// comes first.
void validate(const Augmentation& augmentation);

// torchvision's RandomResizedCrop.get_params: ten attempts at an area in `scale` and a log-uniform
// ratio, then the largest central crop whose ratio is allowed. The window lies inside the image.
Window random_resized_window(int height, int width, const std::array<double, 2>& scale,
                             const std::array<double, 2>& ratio, Random& random);

// Mirrors left and right in place.
void flip_horizontally(Image& image);

// The color that RandAugment's warps show outside the image: the mean, as 8 bits.
std::array<uint8_t, 3> fill_color(const Preprocessing& preprocessing);

// Crop, flip, RandAugment or color jitter, normalize, erase. Of an encoded sample only the crop is
// decoded; the result is the same, but for CropDecoding::kFast. `out` holds C x size x size floats
// with C = preprocessing.mean.size().
void transform_for_training(const Sample& sample, const Preprocessing& preprocessing,
                            const Augmentation& augmentation, Random& random, std::span<float> out);

// The picture of a sample that is not encoded, in `image` or kept by somebody.
PixelView picture_of(const Sample& sample);

// The evaluation pipeline: resize the short side, center crop, normalize. `out` as above.
void transform_for_evaluation(const Image& image, const Preprocessing& preprocessing,
                              std::span<float> out);

}  // namespace asmlp::data
