#include "asmlp/torch/detect/ops/mask_paste.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace asmlp::detect {
namespace {

// One pixel along one axis: the two mask cells it lies between, and their weights; 0 for a cell
// outside.
struct Place {
  int64_t low, high;
  float low_weight, high_weight;
};

struct Pixels {
  int64_t begin;
  std::vector<Place> places;
};

// The pixels of an axis that [from, to] and one pixel around it cover.
Pixels pixels_of(float from, float to, int64_t pixels, int64_t cells) {
  const auto edge = [&](float value) {
    return static_cast<int64_t>(std::clamp(value, 0.0f, static_cast<float>(pixels)));
  };
  Pixels result{edge(std::floor(from) - 1), {}};
  const int64_t end = edge(std::ceil(to) + 1);
  for (int64_t pixel = result.begin; pixel < end; ++pixel) {
    // From -1 to 1 over the mask, then to cells: the arithmetic of grid_sample.
    float u = (static_cast<float>(pixel) + 0.5f - from) / (to - from) * 2 - 1;
    if (!std::isfinite(u)) u = 0;
    const float cell = ((u + 1) * static_cast<float>(cells) - 1) / 2;
    if (cell <= -1 || cell >= static_cast<float>(cells)) {
      result.places.push_back({0, 0, 0, 0});
      continue;
    }
    const float floor = std::floor(cell);
    const int64_t low = static_cast<int64_t>(floor), high = low + 1;
    result.places.push_back({std::max<int64_t>(low, 0), std::min(high, cells - 1),
                             low >= 0 ? floor + 1 - cell : 0, high < cells ? cell - floor : 0});
  }
  return result;
}

// The pixels that a box can reach, column by column, at their place in the image.
MaskRle paste(const float* mask, int64_t mask_height, int64_t mask_width, const float* box,
              ImageSize image, float threshold) {
  const Pixels x = pixels_of(box[0], box[2], image.width, mask_width);
  const Pixels y = pixels_of(box[1], box[3], image.height, mask_height);
  std::vector<uint8_t> pixels(x.places.size() * y.places.size());
  uint8_t* to = pixels.data();
  for (const Place& column : x.places) {
    const float *left = mask + column.low, *right = mask + column.high;
    for (const Place& row : y.places) {
      const int64_t upper = row.low * mask_width, lower = row.high * mask_width;
      *to++ = left[upper] * (column.low_weight * row.low_weight) +
                  right[upper] * (column.high_weight * row.low_weight) +
                  left[lower] * (column.low_weight * row.high_weight) +
                  right[lower] * (column.high_weight * row.high_weight) >=
              threshold;
    }
  }
  const BitmapView patch{pixels, static_cast<int>(y.places.size()),
                         static_cast<int>(x.places.size()), PixelOrder::kColumnMajor};
  return encode_patch(patch, static_cast<int>(y.begin), static_cast<int>(x.begin),
                      static_cast<int>(image.height), static_cast<int>(image.width));
}

}  // namespace

std::vector<MaskRle> paste_masks(const torch::Tensor& probabilities, const torch::Tensor& boxes,
                                 ImageSize image, double threshold) {
  const torch::NoGradGuard no_grad;
  check_boxes("paste_masks: boxes", boxes);
  require(probabilities.dim() == 3 && probabilities.size(0) == boxes.size(0) &&
              probabilities.size(1) > 0 && probabilities.size(2) > 0,
          ErrorCode::kInvalidArgument, "paste_masks: masks are {}, must be {} x h x w",
          shape_of(probabilities), boxes.size(0));
  require(image.height > 0 && image.width > 0 && image.height <= kMaxMaskSide &&
              image.width <= kMaxMaskSide && threshold > 0,
          ErrorCode::kInvalidArgument,
          "paste_masks: an image of {} x {} and threshold {}, must be positive and the sides at "
          "most {}",
          image.height, image.width, threshold, kMaxMaskSide);
  const auto masks = probabilities.to(torch::kCPU, torch::kFloat).contiguous();
  const auto values = boxes.to(torch::kCPU, torch::kFloat).contiguous();
  require(values.isfinite().all().item<bool>(), ErrorCode::kInvalidArgument,
          "paste_masks: a box is not finite");
  const int64_t height = masks.size(1), width = masks.size(2);
  const float *mask = masks.data_ptr<float>(), *value = values.data_ptr<float>();
  std::vector<MaskRle> pasted(static_cast<size_t>(boxes.size(0)));
  at::parallel_for(0, boxes.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      pasted[static_cast<size_t>(i)] = paste(mask + i * height * width, height, width,
                                             value + 4 * i, image, static_cast<float>(threshold));
    }
  });
  return pasted;
}

}  // namespace asmlp::detect
