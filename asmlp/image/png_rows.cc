#include "asmlp/image/png_rows.h"

#include <libdeflate.h>

#include <bit>
#include <cstring>
#include <memory>

namespace asmlp {
namespace {

struct FreeInflater {
  void operator()(libdeflate_decompressor* inflater) const {
    libdeflate_free_decompressor(inflater);
  }
};

// Of two filters a byte's difference is to the mean or to one of three neighbors; the bytes of a
// pixel do not depend on each other, those of the next pixel on them.
using PngShorts = int16_t __attribute__((vector_size(16)));
using PngBytes = uint8_t __attribute__((vector_size(8)));

// Whole words, and so up to two bytes behind the pixel: in registers all the way, where copies of
// three bytes would go through memory and wait there.
template <size_t kPixel>
[[gnu::always_inline]] inline PngShorts load_pixel(const uint8_t* from) {
  constexpr size_t kWord = std::bit_ceil(kPixel);
  uint64_t word = 0;
  std::memcpy(&word, from, kWord);
  return __builtin_convertvector(std::bit_cast<PngBytes>(word), PngShorts);
}

// Returns what was stored.
template <size_t kPixel>
[[gnu::always_inline]] inline PngShorts store_pixel(PngShorts value, uint8_t* to) {
  constexpr size_t kWord = std::bit_floor(kPixel);
  value &= 255;
  const auto word = std::bit_cast<uint64_t>(__builtin_convertvector(value, PngBytes));
  std::memcpy(to, &word, kWord);
  if constexpr (kWord < kPixel) {
    const uint64_t rest = word >> (8 * kWord);
    std::memcpy(to + kWord, &rest, kPixel - kWord);
  }
  return value;
}

[[gnu::always_inline]] inline PngShorts magnitude(PngShorts x) {
  const PngShorts minus = -x;
  return x > minus ? x : minus;
}

template <size_t kPixel>
void undo_sub(uint8_t* row, size_t count) {
  PngShorts left{};
  for (size_t i = 0; i < count; i += kPixel) {
    left = store_pixel<kPixel>(load_pixel<kPixel>(row + i) + left, row + i);
  }
}

template <size_t kPixel>
void undo_average(uint8_t* row, const uint8_t* above, size_t count) {
  PngShorts left{};
  for (size_t i = 0; i < count; i += kPixel) {
    const PngShorts mean = (left + load_pixel<kPixel>(above + i)) >> 1;
    left = store_pixel<kPixel>(load_pixel<kPixel>(row + i) + mean, row + i);
  }
}

template <size_t kPixel>
void undo_paeth(uint8_t* row, const uint8_t* above, size_t count) {
  PngShorts left{}, corner{};
  for (size_t i = 0; i < count; i += kPixel) {
    const PngShorts up = load_pixel<kPixel>(above + i);
    // The distances of left + up - corner from the three.
    const PngShorts to_left = up - corner, to_up = left - corner;
    const PngShorts a = magnitude(to_left), b = magnitude(to_up), c = magnitude(to_left + to_up);
    const PngShorts least = a < b ? a : b;
    const PngShorts upper = b <= c ? up : corner;
    const PngShorts nearest = (a <= b) & (least <= c) ? left : upper;
    left = store_pixel<kPixel>(load_pixel<kPixel>(row + i) + nearest, row + i);
    corner = up;
  }
}

template <size_t kPixel>
void undo(int filter, uint8_t* row, const uint8_t* above, size_t count) {
  if (filter == 1) return undo_sub<kPixel>(row, count);
  if (filter == 3) return undo_average<kPixel>(row, above, count);
  undo_paeth<kPixel>(row, above, count);
}

}  // namespace

bool unpack_png_rows(std::span<const std::string_view> parts, std::span<uint8_t> rows) {
  thread_local const std::unique_ptr<libdeflate_decompressor, FreeInflater> inflater(
      libdeflate_alloc_decompressor());
  if (inflater == nullptr || parts.empty()) return false;
  std::string_view stream = parts.front();
  std::vector<char> joined;
  if (parts.size() > 1) {
    size_t total = 0;
    for (const std::string_view part : parts) total += part.size();
    joined.reserve(total);
    for (const std::string_view part : parts) joined.insert(joined.end(), part.begin(), part.end());
    stream = {joined.data(), joined.size()};
  }
  // Of a smaller window than usual, zlib checks that nothing reaches beyond it.
  if (stream.size() < 2 || static_cast<uint8_t>(stream[0]) != 0x78) return false;
  size_t size = 0;
  const libdeflate_result result = libdeflate_zlib_decompress(
      inflater.get(), stream.data(), stream.size(), rows.data(), rows.size(), &size);
  return result == LIBDEFLATE_SUCCESS && size == rows.size();
}

bool unfilter_png_row(uint8_t* row, const uint8_t* above, size_t count, size_t pixel) {
  int filter = row[0];
  uint8_t* data = row + 1;
  if (filter == 0) return true;
  if (filter > 4) return false;
  if (above == nullptr) {
    // The row above counts as zeros.
    if (filter == 2) return true;
    if (filter == 4) filter = 1;
    if (filter == 3) {
      for (size_t i = pixel; i < count; ++i) data[i] += data[i - pixel] >> 1;
      return true;
    }
  }
  if (filter == 2) {
    for (size_t i = 0; i < count; ++i) data[i] += above[i];
    return true;
  }
  switch (pixel) {
    case 1:
      undo<1>(filter, data, above, count);
      break;
    case 2:
      undo<2>(filter, data, above, count);
      break;
    case 3:
      undo<3>(filter, data, above, count);
      break;
    case 4:
      undo<4>(filter, data, above, count);
      break;
    case 6:
      undo<6>(filter, data, above, count);
      break;
    case 8:
      undo<8>(filter, data, above, count);
      break;
    default:
      return false;
  }
  return true;
}

}  // namespace asmlp
