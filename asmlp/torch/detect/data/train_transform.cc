#include "asmlp/torch/detect/data/train_transform.h"

#include <algorithm>

#include "asmlp/schema/fields.h"
#include "asmlp/torch/data/dense_input.h"
#include "asmlp/torch/data/photometric.h"

namespace asmlp::detect {
namespace {

void check_sides(const char* name, const std::vector<int>& sides) {
  require(!sides.empty(), ErrorCode::kInvalidArgument, "{}: needs at least one side", name);
}

int one_of(const std::vector<int>& values, data::Random& random) {
  return values[static_cast<size_t>(random.below(std::ssize(values)))];
}

// A whole number in [low, high].
int between(int low, int high, data::Random& random) {
  return low + static_cast<int>(random.below(int64_t{high} - low + 1));
}

void resize(ObjectImage& image, int short_side, int long_side) {
  const auto [height, width] = image.size();
  image.resize(fitted_size(height, width, short_side, long_side));
}

void crop(ObjectImage& image, std::array<int, 2> crop_size, data::Random& random) {
  const auto [height, width] = image.size();
  const auto [least, most] = crop_size;
  CvSize window;
  window.height = between(std::min(height, least), std::min(height, most), random);
  window.width = between(std::min(width, least), std::min(width, most), random);
  const int top = between(0, height - window.height, random);
  image.crop(top, between(0, width - window.width, random), window);
}

}  // namespace

void validate(const TrainTransformOptions& options) {
  check_ranges(options, "");
  check_sides("short-sides", options.short_sides);
  if (options.crop_prob > 0) check_sides("crop-short-sides", options.crop_short_sides);
  check_order("crop-size", options.crop_size);
}

data::TensorSample train_sample(ObjectImage image, const ObjectImage::MaskOf& mask_of,
                                const TrainTransformOptions& options, const DenseInput& input,
                                data::Random& random) {
  if (random.uniform() < options.hflip) image.flip_horizontal();
  // Recipes without these draw what they always drew.
  if (options.vflip > 0 && random.uniform() < options.vflip) image.flip_vertical();
  if (random.uniform() < options.crop_prob) {
    resize(image, one_of(options.crop_short_sides, random), options.long_side);
    crop(image, options.crop_size, random);
  }
  resize(image, one_of(options.short_sides, random), options.long_side);

  if (options.photometric) image.change_colors([&](Image& rgb) { data::distort(rgb, random); });

  data::TensorSample sample;
  sample.image = data::normalized(image.image(), input);
  data::ImageInfo& info = sample.info;
  info.height = image.size().height;
  info.width = image.size().width;
  info.padded_height = sample.image.size(1);
  info.padded_width = sample.image.size(2);
  info.original_height = image.original_size().height;
  info.original_width = image.original_size().width;
  info.boxes = image.boxes();
  info.labels = image.labels();
  if (mask_of) {
    info.masks = image.masks(mask_of, info.padded_height, info.padded_width);
    info.mask_rows = image.mask_rows();
  }
  return sample;
}

}  // namespace asmlp::detect
