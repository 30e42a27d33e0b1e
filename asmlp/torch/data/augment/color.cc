#include "asmlp/torch/data/augment/color.h"

#include <algorithm>
#include <array>
#include <utility>

namespace asmlp::data {
namespace {

using Table = std::array<uint8_t, 256>;
using Histogram = std::array<uint32_t, 256>;

// ITU-R 601 luma as Pillow's convert("L").
int luma(const uint8_t* rgb) {
  return static_cast<int>((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 0x8000u) >> 16);
}

// Image.blend of two samples.
uint8_t blend(int from, int to, float alpha) {
  const float value = static_cast<float>(from) + alpha * static_cast<float>(to - from);
  return static_cast<uint8_t>(std::min(std::max(value, 0.0f), 255.0f));
}

template <typename Function>
Table make_table(Function function) {
  Table table;
  for (int value = 0; value < 256; ++value) table[value] = static_cast<uint8_t>(function(value));
  return table;
}

// The same table for every channel.
void map(Image& image, const Table& table) {
  for (uint8_t& value : image.pixels) value = table[value];
}

// A table for each channel.
void map(Image& image, const std::array<Table, 3>& tables) {
  if (image.channels == 1) return map(image, tables[0]);
  for (uint8_t *p = image.pixels.data(), *end = p + image.pixels.size(); p != end; p += 3) {
    p[0] = tables[0][p[0]];
    p[1] = tables[1][p[1]];
    p[2] = tables[2][p[2]];
  }
}

std::array<Histogram, 3> histograms(const Image& image) {
  // Neighboring pixels count in two sets: flat areas would otherwise wait for their own counter.
  std::array<std::array<Histogram, 3>, 2> sets{};
  const size_t channels = static_cast<size_t>(image.channels), size = image.pixels.size();
  for (size_t i = 0, set = 0; i < size; i += channels, set ^= 1) {
    for (size_t c = 0; c < channels; ++c) ++sets[set][c][image.pixels[i + c]];
  }
  for (size_t c = 0; c < channels; ++c) {
    for (int value = 0; value < 256; ++value) sets[0][c][value] += sets[1][c][value];
  }
  return sets[0];
}

template <typename Function>
void map_by_histogram(Image& image, Function table_of) {
  const auto histogram = histograms(image);
  std::array<Table, 3> tables;
  for (int c = 0; c < image.channels; ++c) tables[c] = table_of(histogram[c]);
  map(image, tables);
}

Table identity() {
  return make_table([](int value) { return value; });
}

// Pillow's int(mean + 0.5) of the luma.
int mean_luma(const Image& image) {
  int64_t sum = 0;
  const int64_t count = int64_t{image.height} * image.width;
  if (image.channels == 1) {
    for (const uint8_t value : image.pixels) sum += value;
  } else {
    for (size_t i = 0; i < image.pixels.size(); i += 3) sum += luma(&image.pixels[i]);
  }
  return static_cast<int>(static_cast<double>(sum) / static_cast<double>(count) + 0.5);
}

}  // namespace

void autocontrast(Image& image) {
  map_by_histogram(image, [](const Histogram& histogram) {
    int low = 0, high = 255;
    while (low < 255 && histogram[low] == 0) ++low;
    while (high > 0 && histogram[high] == 0) --high;
    if (high <= low) return identity();
    const double scale = 255.0 / (high - low), offset = -low * scale;
    return make_table(
        [&](int value) { return std::clamp(static_cast<int>(value * scale + offset), 0, 255); });
  });
}

void equalize(Image& image) {
  map_by_histogram(image, [](const Histogram& histogram) {
    uint32_t total = 0, last = 0;
    for (const uint32_t count : histogram) {
      total += count;
      if (count > 0) last = count;
    }
    const uint32_t step = (total - last) / 255;
    if (step == 0) return identity();
    uint32_t sum = step / 2;
    return make_table([&](int value) {
      const uint32_t level = sum / step;
      sum += histogram[value];
      return std::min(level, 255u);
    });
  });
}

void invert(Image& image) {
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(~value);
}

void posterize(Image& image, int bits) {
  const uint8_t mask = static_cast<uint8_t>(0xff00 >> bits);
  for (uint8_t& value : image.pixels) value &= mask;
}

void solarize(Image& image, int threshold) {
  map(image, make_table([&](int value) { return value < threshold ? value : 255 - value; }));
}

void solarize_add(Image& image, int amount) {
  map(image,
      make_table([&](int value) { return value < 128 ? std::min(value + amount, 255) : value; }));
}

void color(Image& image, double factor) {
  if (image.channels == 1) return;
  const float alpha = static_cast<float>(factor);
  for (uint8_t *p = image.pixels.data(), *end = p + image.pixels.size(); p != end; p += 3) {
    const int gray = luma(p);
    for (int c = 0; c < 3; ++c) p[c] = blend(gray, p[c], alpha);
  }
}

void contrast(Image& image, double factor) {
  if (image.pixels.empty()) return;
  const int mean = mean_luma(image);
  const float alpha = static_cast<float>(factor);
  map(image, make_table([&](int value) { return blend(mean, value, alpha); }));
}

void brightness(Image& image, double factor) {
  const float alpha = static_cast<float>(factor);
  map(image, make_table([&](int value) { return blend(0, value, alpha); }));
}

void sharpness(Image& image, double factor, Image& scratch) {
  if (image.height < 3 || image.width < 3) return;
  const float alpha = static_cast<float>(factor);
  scratch = image;
  const int channels = image.channels, last = (image.width - 1) * channels;
  for (int y = 1; y + 1 < image.height; ++y) {
    const uint8_t *above = scratch.row(y - 1), *here = scratch.row(y), *below = scratch.row(y + 1);
    uint8_t* out = image.row(y);
    for (int i = channels; i < last; ++i) {
      int sum = 4 * here[i];
      for (int offset = -channels; offset <= channels; offset += channels) {
        sum += above[i + offset] + here[i + offset] + below[i + offset];
      }
      // Pillow sums value * (1/13 in fp32) and rounds. 13 is odd, so no exact sum is near a half
      // and the integers give the same.
      const int smooth = (2 * sum + 13) / 26;
      out[i] = blend(smooth, here[i], alpha);
    }
  }
}

}  // namespace asmlp::data
