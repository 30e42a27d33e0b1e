#include "asmlp/torch/detect/data/objects.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/image/resize.h"

namespace asmlp::detect {
namespace {

std::vector<int> chosen(const std::vector<int>& values, const std::vector<int>& places) {
  std::vector<int> result;
  result.reserve(places.size());
  for (const int place : places) result.push_back(values[static_cast<size_t>(place)]);
  return result;
}

std::vector<int> part(const std::vector<int>& values, int first, int count) {
  return {values.begin() + first, values.begin() + first + count};
}

// A mask inside of the smallest box around it, row by row.
struct Bitmap {
  int top = 0, left = 0, height = 0, width = 0;
  std::vector<uint8_t> pixels;
};

Bitmap bitmap_of(const MaskRle& mask) {
  const auto [x, y, w, h] = mask_box(mask);
  Bitmap bitmap{
      static_cast<int>(y), static_cast<int>(x), static_cast<int>(h), static_cast<int>(w), {}};
  bitmap.pixels.resize(static_cast<size_t>(bitmap.height) * static_cast<size_t>(bitmap.width));
  const auto rows = static_cast<uint32_t>(mask.height);
  uint32_t at = 0;
  for (size_t i = 0; i < mask.counts.size(); at += mask.counts[i++]) {
    if (i % 2 == 0 || mask.counts[i] == 0) continue;
    uint32_t column = at / rows, row = at % rows;
    for (uint32_t count = mask.counts[i]; count > 0; --count) {
      bitmap.pixels[size_t{row - bitmap.top} * bitmap.width + (column - bitmap.left)] = 1;
      if (++row == rows) row = 0, ++column;
    }
  }
  return bitmap;
}

// The places [begin, end) of a monotone list whose values lie in [first, first + count).
struct Range {
  int64_t begin = 0, end = 0;
};
Range places_of(const std::vector<int>& values, int first, int count) {
  const auto inside = [&](int value) { return value >= first && value < first + count; };
  const auto begin = std::ranges::find_if(values, inside);
  const auto end = std::find_if_not(begin, values.end(), inside);
  return {begin - values.begin(), end - values.begin()};
}

// Sets the pixels of `mask` in `out`, which has rows of `stride` bytes and holds zeros.
void draw(const Bitmap& mask, const std::vector<int>& rows, const std::vector<int>& columns,
          uint8_t* out, int64_t stride) {
  const Range down = places_of(rows, mask.top, mask.height);
  const Range across = places_of(columns, mask.left, mask.width);
  const auto count = static_cast<size_t>(across.end - across.begin);
  const int* column = columns.data() + across.begin;
  int drawn = -1;  // the row of the file in the line above
  for (int64_t y = down.begin; y < down.end; ++y) {
    uint8_t* line = out + y * stride + across.begin;
    const int row = rows[static_cast<size_t>(y)];
    if (row == drawn) {
      std::memcpy(line, line - stride, count);
      continue;
    }
    const uint8_t* from = mask.pixels.data() + size_t(row - mask.top) * mask.width;
    for (size_t x = 0; x < count; ++x) line[x] = from[column[x] - mask.left];
    drawn = row;
  }
}

void clip(std::array<float, 4>& box, CvSize size) {
  const auto width = static_cast<float>(size.width), height = static_cast<float>(size.height);
  for (size_t k = 0; k < 4; ++k) box[k] = std::clamp(box[k], 0.0f, k % 2 == 0 ? width : height);
}

}  // namespace

ObjectImage::ObjectImage(Image image, std::vector<ImageObject> objects)
    : image_(std::move(image)),
      original_{image_.height, image_.width},
      objects_(std::move(objects)),
      rows_(static_cast<size_t>(image_.height)),
      columns_(static_cast<size_t>(image_.width)) {
  require(image_.height > 0 && image_.width > 0, ErrorCode::kInvalidArgument,
          "an image of {} x {} has no pixels", image_.height, image_.width);
  std::iota(rows_.begin(), rows_.end(), 0);
  std::iota(columns_.begin(), columns_.end(), 0);
}

void ObjectImage::flip_horizontal() {
  image_ = asmlp::flip_horizontal(image_);
  std::ranges::reverse(columns_);
  const auto width = static_cast<float>(image_.width);
  for (ImageObject& object : objects_) {
    auto& box = object.box;
    box = {width - box[2], box[1], width - box[0], box[3]};
  }
}

void ObjectImage::flip_vertical() {
  image_ = asmlp::flip_vertical(image_);
  std::ranges::reverse(rows_);
  const auto height = static_cast<float>(image_.height);
  for (ImageObject& object : objects_) {
    auto& box = object.box;
    box = {box[0], height - box[3], box[2], height - box[1]};
  }
}

void ObjectImage::resize(CvSize size) {
  const int height = image_.height, width = image_.width;
  image_ = resize_bilinear(image_, size);
  rows_ = chosen(rows_, nearest_pixels(height, size.height));
  columns_ = chosen(columns_, nearest_pixels(width, size.width));
  const auto x_factor = static_cast<float>(static_cast<double>(size.width) / width);
  const auto y_factor = static_cast<float>(static_cast<double>(size.height) / height);
  for (ImageObject& object : objects_) {
    for (size_t k = 0; k < 4; ++k) object.box[k] *= k % 2 == 0 ? x_factor : y_factor;
    clip(object.box, size);
  }
}

void ObjectImage::crop(int top, int left, CvSize size) {
  require(size.height > 0 && size.width > 0, ErrorCode::kInvalidArgument,
          "a window of {} x {} has no pixels", size.height, size.width);
  require(top >= 0 && left >= 0 && size.height <= image_.height - top &&
              size.width <= image_.width - left,
          ErrorCode::kInvalidArgument, "the window {} x {} at ({}, {}) leaves the image of {} x {}",
          size.height, size.width, top, left, image_.height, image_.width);
  image_ = asmlp::crop(image_, {top, left, size.height, size.width});
  rows_ = part(rows_, top, size.height);
  columns_ = part(columns_, left, size.width);
  const auto x = static_cast<float>(left), y = static_cast<float>(top);
  std::erase_if(objects_, [&](ImageObject& object) {
    auto& box = object.box;
    for (size_t k = 0; k < 4; ++k) box[k] -= k % 2 == 0 ? x : y;
    clip(box, size);
    return !(box[0] < box[2] && box[1] < box[3]);
  });
}

torch::Tensor ObjectImage::boxes() const {
  const auto result = torch::empty({static_cast<int64_t>(objects_.size()), 4});
  float* value = result.data_ptr<float>();
  for (const ImageObject& object : objects_) value = std::ranges::copy(object.box, value).out;
  return result;
}

torch::Tensor ObjectImage::labels() const {
  const auto result = torch::empty({static_cast<int64_t>(objects_.size())}, torch::kInt64);
  int64_t* value = result.data_ptr<int64_t>();
  for (const ImageObject& object : objects_) *value++ = object.label;
  return result;
}

torch::Tensor ObjectImage::masks(const MaskOf& mask_of, int64_t height, int64_t width) const {
  require(height >= image_.height && width >= image_.width, ErrorCode::kInvalidArgument,
          "masks of {} x {} do not hold those of an image of {} x {}", height, width, image_.height,
          image_.width);
  const auto count = std::ranges::count_if(objects_, &ImageObject::outlined);
  const auto result = torch::zeros({count, height, width}, torch::kUInt8);
  uint8_t* out = result.data_ptr<uint8_t>();
  for (const ImageObject& object : objects_) {
    if (!object.outlined) continue;
    const MaskRle mask = mask_of(object.source);
    require(mask.height == original_.height && mask.width == original_.width, ErrorCode::kMismatch,
            "the mask of object {} is {} x {}, its image {} x {} (height x width)", object.source,
            mask.height, mask.width, original_.height, original_.width);
    draw(bitmap_of(mask), rows_, columns_, out, width);
    out += height * width;
  }
  return result;
}

torch::Tensor ObjectImage::mask_rows() const {
  const auto result = torch::empty({static_cast<int64_t>(objects_.size())}, torch::kInt64);
  int64_t *value = result.data_ptr<int64_t>(), row = 0;
  for (const ImageObject& object : objects_) *value++ = object.outlined ? row++ : -1;
  return result;
}

}  // namespace asmlp::detect
