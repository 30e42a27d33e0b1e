#include <spng.h>

#include <algorithm>
#include <array>
#include <memory>

#include "asmlp/image/codecs.h"

namespace asmlp {
namespace {

// Deflate cannot shrink data more than this.
constexpr uint64_t kMaxDeflateRatio = 1032;
// Chunks that are not pixels (color profiles, text) may take this much memory.
constexpr size_t kMaxChunkBytes = size_t{64} << 20;

struct FreeContext {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};

void check(int status, const std::string& what) {
  const bool too_large = status == SPNG_EMEM || status == SPNG_EOVERFLOW;
  require(status == 0, too_large ? ErrorCode::kTooLarge : ErrorCode::kBadFormat,
          "{}: cannot decode the PNG data: {}", what, spng_strerror(status));
}

using Palette = std::array<std::array<uint8_t, 3>, 256>;

// Entries that the file does not have are gray, as in Pillow.
Palette read_palette(spng_ctx* context, const std::string& what) {
  Palette palette;
  for (int i = 0; i < 256; ++i) palette[i].fill(static_cast<uint8_t>(i));
  spng_plte entries;
  check(spng_get_plte(context, &entries), what);
  for (uint32_t i = 0; i < entries.n_entries; ++i) {
    palette[i] = {entries.entries[i].red, entries.entries[i].green, entries.entries[i].blue};
  }
  return palette;
}

// Sample `index` of a row of 1-, 2-, 4- or 8-bit samples, most significant bits first.
uint32_t packed_sample(const uint8_t* row, size_t index, int depth) {
  const size_t bit = index * static_cast<size_t>(depth);
  return (row[bit / 8] >> (8 - depth - static_cast<int>(bit % 8))) & ((1u << depth) - 1);
}

// Rows of the file's own pixel format (16-bit samples big-endian) to RGB, by Pillow's rules: alpha
// and transparent colors are dropped; 16-bit samples keep their high byte, except gray without
// alpha, which Pillow takes for integers and clips at 255.
void convert_row(const uint8_t* in, const spng_ihdr& header, const Palette& palette, int width,
                 uint8_t* out) {
  const int depth = header.bit_depth;
  const size_t step = depth == 16 ? 2 : 1;  // bytes per sample
  switch (header.color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE: {
      const uint32_t factor = depth < 8 ? 255u / ((1u << depth) - 1) : 1;
      for (int x = 0; x < width; ++x, out += 3) {
        const uint32_t value = depth == 16 ? (in[2 * x] != 0 ? 255u : in[2 * x + 1])
                                           : packed_sample(in, x, depth) * factor;
        std::fill_n(out, 3, static_cast<uint8_t>(value));
      }
      break;
    }
    case SPNG_COLOR_TYPE_INDEXED:
      for (int x = 0; x < width; ++x, out += 3) {
        std::copy_n(palette[packed_sample(in, x, depth)].begin(), 3, out);
      }
      break;
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
      for (int x = 0; x < width; ++x, in += 2 * step, out += 3) std::fill_n(out, 3, in[0]);
      break;
    default: {  // RGB, RGBA
      const size_t samples = header.color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA ? 4 : 3;
      for (int x = 0; x < width; ++x, in += samples * step, out += 3) {
        for (size_t c = 0; c < 3; ++c) out[c] = in[c * step];
      }
    }
  }
}

}  // namespace

Image decode_png(std::span<const std::byte> bytes, const std::string& what, int64_t max_pixels,
                 const ChooseWindow& choose) {
  const std::unique_ptr<spng_ctx, FreeContext> context(spng_ctx_new(0));
  require(context != nullptr, ErrorCode::kTooLarge, "{}: no memory to decode it", what);
  spng_set_chunk_limits(context.get(), kMaxChunkBytes, kMaxChunkBytes);
  check(spng_set_png_buffer(context.get(), bytes.data(), bytes.size()), what);
  spng_ihdr header;
  check(spng_get_ihdr(context.get(), &header), what);
  check_image_size(header.height, header.width, max_pixels, what);

  // RAW keeps the file's pixel format, which is the only way to Pillow's reading of each of them.
  size_t size = 0;
  check(spng_decoded_image_size(context.get(), SPNG_FMT_RAW, &size), what);
  require(size / kMaxDeflateRatio <= bytes.size(), ErrorCode::kBadFormat,
          "{}: {} bytes cannot hold the {} x {} pixels that the PNG header announces; the file is "
          "truncated",
          what, bytes.size(), header.width, header.height);
  const int height = static_cast<int>(header.height), width = static_cast<int>(header.width);
  const Window all{0, 0, height, width};
  const Window window = choose ? checked_window(choose, height, width, what) : all;
  Palette palette{};
  if (header.color_type == SPNG_COLOR_TYPE_INDEXED) palette = read_palette(context.get(), what);
  const size_t stride = size / header.height;
  if (choose && header.interlace_method == SPNG_INTERLACE_NONE) {
    check(spng_decode_image(context.get(), nullptr, 0, SPNG_FMT_RAW, SPNG_DECODE_PROGRESSIVE),
          what);
    std::vector<uint8_t> raw(stride), row(static_cast<size_t>(width) * 3);
    Image image(window.height, window.width, 3);
    for (int y = 0; y < window.top + window.height; ++y) {
      const int status = spng_decode_row(context.get(), raw.data(), raw.size());
      check(status == SPNG_EOI ? 0 : status, what);  // the end is told with the last row
      if (y < window.top) continue;
      convert_row(raw.data(), header, palette, width, row.data());
      std::copy_n(row.data() + static_cast<size_t>(window.left) * 3,
                  image.pixels.size() / image.height, image.row(y - window.top));
    }
    return image;
  }
  Image image(height, width, 3);
  if (header.color_type == SPNG_COLOR_TYPE_TRUECOLOR && header.bit_depth == 8) {
    check(
        spng_decode_image(context.get(), image.pixels.data(), image.pixels.size(), SPNG_FMT_RAW, 0),
        what);
  } else {
    std::vector<uint8_t> raw(size);
    check(spng_decode_image(context.get(), raw.data(), raw.size(), SPNG_FMT_RAW, 0), what);
    for (int y = 0; y < height; ++y) {
      convert_row(raw.data() + stride * static_cast<size_t>(y), header, palette, width,
                  image.row(y));
    }
  }
  return choose ? crop(image, window) : image;
}

}  // namespace asmlp
