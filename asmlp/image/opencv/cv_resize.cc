#include "asmlp/image/opencv/cv_resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

constexpr int kWeightOne = 2048;  // weights of a pair of pixels in fixed point

void check_sides(const Image& image, CvSize size) {
  require(image.height > 0 && image.width > 0 && size.height > 0 && size.width > 0,
          ErrorCode::kInvalidArgument, "resize of {} x {} to {} x {}: no side may be 0",
          image.height, image.width, size.height, size.width);
}

// Pixels of the source per pixel of the result, rounded as OpenCV does: twice.
double cv_scale(int side, int new_side) { return 1.0 / (double(new_side) / side); }

// A pixel of the result lies between two of the source.
struct Between {
  int64_t first = 0;  // may lie outside: -1 at least
  int first_weight = 0, second_weight = 0;
};

Between between(int index, double scale, bool stays_inside, int side) {
  const auto at = static_cast<float>((index + 0.5) * scale - 0.5);
  auto first = static_cast<int64_t>(std::floor(at));
  float part = at - static_cast<float>(first);
  if (stays_inside && (first < 0 || first >= side - 1)) {
    first = first < 0 ? 0 : side - 1;
    part = 0;
  }
  const auto weight = [](float share) { return static_cast<int>(std::lrint(share * kWeightOne)); };
  return {first, weight(1.0f - part), weight(part)};
}

// One row of the source becomes one row of 16-bit numbers: (first * weight + second * weight) / 16,
// rounded down. Where the weights add up to 2048 (w: the second's), that is
//   128 * first + floor((first - second) * -w / 16)              for w up to 1024, or
//   128 * second + floor((first - second) * (2048 - w) / 16)     above:
// a product of two 16-bit numbers, of which the upper half is taken.
template <int channels>
class RowFilter {
 public:
  RowFilter(int width, int new_width) : width_(new_width) {
    const double scale = cv_scale(width, new_width);
    last_ = static_cast<uint32_t>(width - 1) * channels;
    for (int x = 0; x < new_width; ++x) {
      Between at = between(x, scale, true, width);
      // Both weights are rounded, from numbers that were: rarely they miss 2048 by one.
      if (at.first_weight + at.second_weight != kWeightOne) odd_.emplace_back(x, at);
      if (at.first_weight == 0) at = {at.first + 1, kWeightOne, 0};
      first_.push_back(static_cast<uint32_t>(at.first * channels));
      const int factor =
          at.second_weight <= kWeightOne / 2 ? -at.second_weight : kWeightOne - at.second_weight;
      factors_.insert(factors_.end(), channels, static_cast<int16_t>(factor * 32));
      if (at.first + (channels == 1 ? 1 : 2) < width) inner_ = x + 1;
    }
    samples_.resize(2 * (size() + 1));
  }

  // Of a row of the result.
  size_t size() const { return static_cast<size_t>(width_) * channels; }

  void run(const uint8_t* row, int16_t* __restrict out) {
    gather(row, samples_.data());
    const uint8_t* __restrict samples = samples_.data();
    const int16_t* __restrict factors = factors_.data();
    const size_t count = size(), step = channels == 1 ? 2 : 1;
    const uint8_t* seconds = samples + (channels == 1 ? 1 : count + 1);
    for (size_t i = 0; i < count; ++i) {
      const int16_t first = samples[i * step], second = seconds[i * step], factor = factors[i];
      const auto difference = static_cast<int16_t>((first - second) * 128);
      const int16_t nearer = factor > 0 ? second : first;
      out[i] = static_cast<int16_t>(nearer * 128 + ((difference * factor) >> 16));
    }
    for (const auto& [x, at] : odd_) {
      for (int c = 0; c < channels; ++c) {
        const uint8_t* first = row + at.first * channels + c;
        const int sum = first[0] * at.first_weight + first[channels] * at.second_weight;
        out[static_cast<size_t>(x) * channels + c] = static_cast<int16_t>(sum >> 4);
      }
    }
  }

 private:
  // The two pixels of every column: of one channel side by side; of three all first ones, then,
  // one byte later, all second ones. Where the row has four bytes, four are copied, the last of
  // which the next pixel overwrites. The pixel after the last has no weight.
  void gather(const uint8_t* row, uint8_t* __restrict to) const {
    const uint32_t* from = first_.data();
    int x = 0;
    if constexpr (channels == 1) {
      for (; x < inner_; ++x) std::memcpy(to + 2 * static_cast<size_t>(x), row + from[x], 2);
      for (; x < width_; ++x) {
        to[2 * static_cast<size_t>(x)] = row[from[x]];
        to[2 * static_cast<size_t>(x) + 1] = row[std::min(from[x] + 1, last_)];
      }
    } else {
      uint8_t* second = to + size() + 1;
      for (; x < inner_; ++x, to += 3, second += 3) {
        std::memcpy(to, row + from[x], 4);
        std::memcpy(second, row + from[x] + 3, 4);
      }
      for (; x < width_; ++x, to += 3, second += 3) {
        std::memcpy(to, row + from[x], 3);
        std::memcpy(second, row + std::min(from[x] + 3, last_), 3);
      }
    }
  }

  int width_;
  int inner_ = 0;                // columns whose pixels are not at the end of the row
  uint32_t last_ = 0;            // sample of the last pixel
  std::vector<uint32_t> first_;  // of each column: sample of its first pixel
  std::vector<int16_t> factors_;
  std::vector<std::pair<int, Between>> odd_;
  std::vector<uint8_t> samples_;
};

void blend_rows(const int16_t* upper, int upper_weight, const int16_t* lower, int lower_weight,
                size_t samples, uint8_t* __restrict out) {
  const auto a = static_cast<int16_t>(upper_weight), b = static_cast<int16_t>(lower_weight);
  for (size_t i = 0; i < samples; ++i) {
    const auto first = static_cast<int16_t>((upper[i] * a) >> 16);
    const auto second = static_cast<int16_t>((lower[i] * b) >> 16);
    out[i] = static_cast<uint8_t>(static_cast<int16_t>(first + second + 2) >> 2);
  }
}

template <int channels>
void interpolate(const Image& image, Image& out) {
  RowFilter<channels> filter(image.width, out.width);
  const double scale = cv_scale(image.height, out.height);
  // The two rows that the last row of the result lay between; they come in ascending order.
  std::vector<int16_t> rows[2]{std::vector<int16_t>(filter.size()),
                               std::vector<int16_t>(filter.size())};
  int64_t held[2]{-1, -1};
  for (int y = 0; y < out.height; ++y) {
    const Between at = between(y, scale, false, image.height);
    const auto inside = [&](int64_t row) { return std::clamp<int64_t>(row, 0, image.height - 1); };
    const int64_t upper = inside(at.first), lower = inside(at.first + 1);
    if (held[0] != upper && held[1] == upper) {
      std::swap(rows[0], rows[1]);
      std::swap(held[0], held[1]);
    }
    const auto fill = [&](int which, int64_t row) {
      if (held[which] == row) return;
      filter.run(image.row(static_cast<int>(row)), rows[which].data());
      held[which] = row;
    };
    fill(0, upper);
    if (lower != upper) fill(1, lower);
    blend_rows(rows[0].data(), at.first_weight, rows[lower != upper].data(), at.second_weight,
               filter.size(), out.row(y));
  }
}

// The mean of 2 x 2 pixels.
template <int channels>
void halve(const Image& image, Image& out) {
  std::vector<uint16_t> sums(static_cast<size_t>(image.width) * channels);
  for (int y = 0; y < out.height; ++y) {
    const uint8_t *upper = image.row(2 * y), *lower = image.row(2 * y + 1);
    for (size_t i = 0; i < sums.size(); ++i) sums[i] = static_cast<uint16_t>(upper[i] + lower[i]);
    uint8_t* to = out.row(y);
    const uint16_t* from = sums.data();
    for (int x = 0; x < out.width; ++x, to += channels, from += 2 * channels) {
      for (int c = 0; c < channels; ++c) {
        to[c] = static_cast<uint8_t>((from[c] + from[channels + c] + 2) >> 2);
      }
    }
  }
}

}  // namespace

CvSize fitted_size(int height, int width, double short_side, double long_side) {
  require(height > 0 && width > 0, ErrorCode::kInvalidArgument, "an image of {} x {} has no size",
          height, width);
  const double f =
      std::min(long_side / std::max(height, width), short_side / std::min(height, width));
  const auto scaled = [&](int side) { return std::max(1, static_cast<int>(side * f + 0.5)); };
  return {scaled(height), scaled(width)};
}

Image resize_bilinear(const Image& image, CvSize size) {
  check_sides(image, size);
  if (size == CvSize{image.height, image.width}) return image;
  Image out(size.height, size.width, image.channels);
  if (int64_t{2} * size.height == image.height && int64_t{2} * size.width == image.width) {
    image.channels == 3 ? halve<3>(image, out) : halve<1>(image, out);
    return out;
  }
  image.channels == 3 ? interpolate<3>(image, out) : interpolate<1>(image, out);
  return out;
}

std::vector<int> nearest_pixels(int side, int new_side) {
  const double scale = cv_scale(side, new_side);
  std::vector<int> pixels;
  for (int i = 0; i < new_side; ++i) {
    pixels.push_back(std::min(static_cast<int>(std::floor(i * scale)), side - 1));
  }
  return pixels;
}

Image resize_nearest(const Image& image, CvSize size) {
  check_sides(image, size);
  Image out(size.height, size.width, image.channels);
  const auto channels = static_cast<size_t>(image.channels);
  const std::vector<int> rows = nearest_pixels(image.height, size.height);
  const std::vector<int> columns = nearest_pixels(image.width, size.width);
  for (int y = 0; y < size.height; ++y) {
    const auto row = static_cast<size_t>(y);
    uint8_t* to = out.row(y);
    if (y > 0 && rows[row] == rows[row - 1]) {
      std::memcpy(to, out.row(y - 1), columns.size() * channels);
      continue;
    }
    const uint8_t* from = image.row(rows[row]);
    for (const int column : columns) {
      to = std::copy_n(from + static_cast<size_t>(column) * channels, channels, to);
    }
  }
  return out;
}

Image flip_horizontal(const Image& image) {
  Image out(image.height, image.width, image.channels);
  const auto channels = static_cast<size_t>(image.channels);
  for (int y = 0; y < image.height; ++y) {
    const uint8_t* from = image.row(y);
    uint8_t* to = out.row(y) + static_cast<size_t>(image.width) * channels;
    for (int x = 0; x < image.width; ++x, from += channels) {
      to -= channels;
      for (size_t c = 0; c < channels; ++c) to[c] = from[c];
    }
  }
  return out;
}

Image flip_vertical(const Image& image) {
  Image out(image.height, image.width, image.channels);
  const auto bytes = static_cast<size_t>(image.width) * static_cast<size_t>(image.channels);
  for (int y = 0; y < image.height; ++y) {
    std::copy_n(image.row(y), bytes, out.row(image.height - 1 - y));
  }
  return out;
}

}  // namespace asmlp
