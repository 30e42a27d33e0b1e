#include "asmlp/torch/segment/train_transform.h"

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/image/resize.h"
#include "asmlp/metrics/segmentation.h"
#include "asmlp/schema/fields.h"
#include "asmlp/torch/data/dense_input.h"
#include "asmlp/torch/data/photometric.h"

namespace asmlp::segment {
namespace {

constexpr int kMostChecks = 10;

struct Corner {
  int top = 0, left = 0;
};

Corner draw_corner(const Image& image, CvSize window, data::Random& random) {
  Corner corner;
  corner.top = static_cast<int>(random.below(image.height - window.height + 1));
  corner.left = static_cast<int>(random.below(image.width - window.width + 1));
  return corner;
}

// Two classes at least, and none of them with `most` of the labeled pixels.
bool is_varied(const Image& labels, Corner corner, CvSize window, double most) {
  std::array<int64_t, 256> counts{};
  for (int y = corner.top; y < corner.top + window.height; ++y) {
    const uint8_t* row = labels.row(y) + corner.left;
    for (int x = 0; x < window.width; ++x) ++counts[row[x]];
  }
  counts[kIgnoredLabel] = 0;
  int64_t classes = 0, all = 0;
  for (const int64_t count : counts) {
    classes += count > 0;
    all += count;
  }
  const auto largest = static_cast<double>(*std::ranges::max_element(counts));
  return classes > 1 && largest / static_cast<double>(all) < most;
}

Corner choose_corner(const Image& labels, CvSize window, double most, data::Random& random) {
  Corner corner = draw_corner(labels, window, random);
  for (int check = 0; most < 1 && check < kMostChecks; ++check) {
    if (is_varied(labels, corner, window, most)) break;
    corner = draw_corner(labels, window, random);
  }
  return corner;
}

// H x W in a tensor of size x size, `fill` to the right and below.
torch::Tensor padded_target(const Image& labels, int size) {
  torch::Tensor target = torch::full({size, size}, kIgnoredLabel, torch::kUInt8);
  for (int y = 0; y < labels.height; ++y) {
    std::copy_n(labels.row(y), labels.width, target.data_ptr<uint8_t>() + int64_t{y} * size);
  }
  return target;
}

}  // namespace

void validate(const TrainTransformOptions& options) {
  check_ranges(options, "");
  check_order("ratio-range", options.ratio_range);
}

data::TensorSample train_sample(const LabeledImage& sample, const DenseInput& input,
                                const TrainTransformOptions& options, data::Random& random) {
  const double r = random.uniform(options.ratio_range[0], options.ratio_range[1]);
  // Whole pixels, as mmseg has them.
  const double short_side = std::max(1, static_cast<int>(r * input.short_side));
  const double long_side = std::max(1, static_cast<int>(r * input.long_side));
  const CvSize size = fitted_size(sample.image.height, sample.image.width, short_side, long_side);
  Image labels = resize_nearest(sample.labels, size);
  const CvSize window{std::min(size.height, options.crop), std::min(size.width, options.crop)};
  const Corner corner = choose_corner(labels, window, options.cat_max_ratio, random);
  const Window kept{corner.top, corner.left, window.height, window.width};
  labels = crop(labels, kept);
  Image image = crop(resize_bilinear(sample.image, size), kept);
  if (random.uniform() < options.hflip) {
    image = flip_horizontal(image);
    labels = flip_horizontal(labels);
  }
  // Recipes without it draw what they always drew.
  if (options.vflip > 0 && random.uniform() < options.vflip) {
    image = flip_vertical(image);
    labels = flip_vertical(labels);
  }
  if (options.photometric) data::distort(image, random);

  DenseInput unpadded = input;
  unpadded.pad_multiple = 1;
  data::TensorSample result;
  result.image =
      torch::constant_pad_nd(data::normalized(image, unpadded),
                             {0, options.crop - window.width, 0, options.crop - window.height}, 0);
  result.target = padded_target(labels, options.crop);
  result.info.height = window.height;
  result.info.width = window.width;
  result.info.padded_height = result.info.padded_width = options.crop;
  result.info.original_height = sample.image.height;
  result.info.original_width = sample.image.width;
  return result;
}

}  // namespace asmlp::segment
