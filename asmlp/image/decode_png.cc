// PNG by libspng. Which files are accepted is Pillow's choice: the chunks before the pixels must be
// whole (checksums included), of the pixels only the checksum of the deflate stream counts, and
// nothing that follows them matters. So the decoder gets a file of the header and the pixels only.
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string_view>

#include "asmlp/image/codecs.h"
#include "asmlp/image/png_codec.h"

namespace asmlp {
namespace {

using PngPalette = std::array<std::array<uint8_t, 3>, 256>;

uint32_t big_endian_at(std::string_view text, size_t at) {
  uint32_t value = 0;
  for (size_t i = at; i < at + 4; ++i) value = value << 8 | static_cast<uint8_t>(text[i]);
  return value;
}

// What of a PNG file matters.
struct PngParts {
  std::string reduced;  // a file of header, pixels, and end
  PngPalette palette;
  bool indexed = false;
};

void take_palette(std::string_view content, const std::string& what, PngPalette& palette) {
  const size_t entries = content.size() / 3;
  require(entries <= 256, ErrorCode::kBadFormat, "{}: a PNG palette of {} colors", what, entries);
  for (size_t i = 0; i < entries; ++i) {
    for (size_t c = 0; c < 3; ++c) palette[i][c] = static_cast<uint8_t>(content[3 * i + c]);
  }
}

// The deflate stream of a file whose pixels have a wrong checksum: the damage may be in that one
// alone. Error(kBadFormat) when the stream's own checksum does not fit either. Not more than `most`
// bytes are unpacked: a stream that goes on behind the pixels could do so for hours.
void check_stream(std::string_view stream, uint64_t most, const std::string& what) {
  z_stream zlib{};
  require(inflateInit(&zlib) == Z_OK, ErrorCode::kTooLarge, "{}: no memory to decode it", what);
  std::array<Bytef, 16384> out;
  int status = Z_OK;
  while (status == Z_OK && zlib.total_out <= most && !(stream.empty() && zlib.avail_in == 0)) {
    if (zlib.avail_in == 0) {
      const std::string_view some = stream.substr(0, size_t{1} << 30);
      zlib.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(some.data()));
      zlib.avail_in = static_cast<uInt>(some.size());
      stream.remove_prefix(some.size());
    }
    zlib.next_out = out.data();
    zlib.avail_out = static_cast<uInt>(out.size());
    status = inflate(&zlib, Z_NO_FLUSH);
  }
  inflateEnd(&zlib);
  require(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR, ErrorCode::kBadFormat,
          "{}: cannot decode the PNG data: the pixels are damaged (their checksum is wrong)", what);
}

uint32_t crc_of(std::string_view text) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size()));
}

// Room for the rows that the header announces: 8 bytes a pixel at most, and the first byte of each
// row, of which an interlaced image has twice as many.
uint64_t most_png_bytes(std::string_view header, int64_t max_pixels) {
  const uint64_t width = big_endian_at(header, 16), height = big_endian_at(header, 20);
  const auto most = static_cast<uint64_t>(max_pixels);
  const uint64_t pixels = height > 0 && width > most / height ? most : width * height;
  return 8 * pixels + 16 * std::min(height, most) + 1024;
}

PngParts parts_of(std::span<const std::byte> bytes, const std::string& what,
                  const DecodeOptions& options) {
  const PixelStyle style = options.style;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  constexpr size_t kSignature = 8, kHeader = 13;
  const auto truncated = [&] {
    fail(ErrorCode::kBadFormat, "{}: cannot decode the PNG data: the file is truncated", what);
  };
  PngParts parts;
  // Entries that the file does not have are gray in Pillow, black in OpenCV.
  for (int i = 0; i < 256; ++i) {
    parts.palette[i].fill(style == PixelStyle::kPillow ? static_cast<uint8_t>(i) : uint8_t{0});
  }
  bool pixels = false, damaged = false;
  size_t first_pixels = 0;
  for (size_t at = kSignature;;) {
    if (at + 8 > text.size()) {
      if (!pixels) truncated();
      break;
    }
    const size_t length = big_endian_at(text, at);
    const std::string_view type = text.substr(at + 4, 4);
    const std::string_view content = text.substr(at + 8, length);
    if (type == "IDAT") {
      require(!parts.reduced.empty(), ErrorCode::kBadFormat, "{}: a PNG file without its header",
              what);
      if (!pixels) first_pixels = at;
      pixels = true;
      // Of a file that ends in its pixels, what is there: the decoder says what is missing.
      for (int shift = 24; shift >= 0; shift -= 8) {
        parts.reduced += static_cast<char>(content.size() >> shift & 255);
      }
      parts.reduced.append(type).append(content).append("0000");
      damaged = damaged ||
                (at + 12 + length <= text.size() &&
                 crc_of(text.substr(at + 4, length + 4)) != big_endian_at(text, at + 8 + length));
    } else if (pixels) {
      break;
    } else {
      if (at + 12 + length > text.size()) truncated();
      require(crc_of(text.substr(at + 4, length + 4)) == big_endian_at(text, at + 8 + length),
              ErrorCode::kBadFormat,
              "{}: cannot decode the PNG data: the checksum of its chunk at byte {} is wrong", what,
              at);
      require(type != "IEND", ErrorCode::kBadFormat, "{}: a PNG file without pixels", what);
      if (type == "IHDR" && parts.reduced.empty()) {
        require(length >= kHeader, ErrorCode::kBadFormat, "{}: a PNG header of {} bytes", what,
                length);
        parts.reduced = text.substr(0, kSignature);
        parts.reduced += std::string_view("\0\0\0\r", 4);
        parts.reduced += text.substr(at + 4, 4 + kHeader);
        parts.reduced += "0000";  // no checksum is looked at any more
      } else if (type == "PLTE") {
        take_palette(content, what, parts.palette);
      }
    }
    at += 12 + length;
  }
  std::string stream;
  for (size_t at = first_pixels; damaged && at + 8 <= text.size();) {
    const size_t length = big_endian_at(text, at);
    if (text.substr(at + 4, 4) != "IDAT") break;
    stream += text.substr(at + 8, length);
    at += 12 + length;
  }
  if (damaged) check_stream(stream, most_png_bytes(parts.reduced, options.max_pixels), what);
  // Rows of palette indices are laid out as rows of gray samples, which need no palette.
  constexpr size_t kColorType = kSignature + 8 + 9, kInterlaced = kSignature + 8 + 12;
  parts.indexed =
      parts.reduced[kColorType] == SPNG_COLOR_TYPE_INDEXED && parts.reduced[kColorType - 1] <= 8;
  if (parts.indexed) parts.reduced[kColorType] = SPNG_COLOR_TYPE_GRAYSCALE;
  if (parts.reduced[kInterlaced] != 0) parts.reduced[kInterlaced] = 1;
  parts.reduced[kInterlaced - 2] = 0;  // only one method of compression exists
  parts.reduced += std::string_view("\0\0\0\0IEND0000", 12);
  return parts;
}

// Sample `index` of a row of 1-, 2-, 4- or 8-bit samples, most significant bits first.
uint32_t packed_sample(const uint8_t* row, size_t index, int depth) {
  const size_t bit = index * static_cast<size_t>(depth);
  return (row[bit / 8] >> (8 - depth - static_cast<int>(bit % 8))) & ((1u << depth) - 1);
}

// Rows of the file's own pixel format (16-bit samples big-endian) to RGB. Alpha and transparent
// colors are dropped; 16-bit samples keep their high byte, except gray without alpha in Pillow's
// style: it takes them for integers and clips at 255.
void convert_row(const uint8_t* in, const spng_ihdr& header, const PngPalette* palette,
                 PixelStyle style, int width, uint8_t* out) {
  const int depth = header.bit_depth;
  const size_t step = depth == 16 ? 2 : 1;  // bytes per sample
  if (palette != nullptr) {
    for (int x = 0; x < width; ++x, out += 3) {
      std::copy_n((*palette)[packed_sample(in, x, depth)].begin(), 3, out);
    }
    return;
  }
  switch (header.color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE: {
      const uint32_t factor = depth < 8 ? 255u / ((1u << depth) - 1) : 1;
      const bool clip = style == PixelStyle::kPillow;
      for (int x = 0; x < width; ++x, out += 3) {
        uint32_t value = 0;
        if (depth == 16) {
          value = !clip ? in[2 * x] : in[2 * x] != 0 ? 255u : in[2 * x + 1];
        } else {
          value = packed_sample(in, x, depth) * factor;
        }
        std::fill_n(out, 3, static_cast<uint8_t>(value));
      }
      break;
    }
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

Image decode_png(std::span<const std::byte> bytes, const std::string& what,
                 const DecodeOptions& options, const ChooseWindow& choose) {
  const PngParts parts = parts_of(bytes, what, options);
  const PngContext context = new_png_context(0, what);
  check_png(spng_set_crc_action(context.get(), SPNG_CRC_USE, SPNG_CRC_USE), what);
  check_png(spng_set_png_buffer(context.get(), parts.reduced.data(), parts.reduced.size()), what);
  const spng_ihdr header = read_png_header(context.get(), options.max_pixels, what);
  // RAW keeps the file's pixel format, which is the only way to Pillow's reading of each of them.
  const size_t size = raw_png_size(context.get(), header, bytes.size(), what);
  const int height = static_cast<int>(header.height), width = static_cast<int>(header.width);
  const Window all{0, 0, height, width};
  const Window window = choose ? checked_window(choose, height, width, what) : all;
  const PngPalette* palette = parts.indexed ? &parts.palette : nullptr;
  const size_t stride = size / header.height;
  if (choose && header.interlace_method == SPNG_INTERLACE_NONE) {
    check_png(spng_decode_image(context.get(), nullptr, 0, SPNG_FMT_RAW, SPNG_DECODE_PROGRESSIVE),
              what);
    std::vector<uint8_t> raw(stride), row(static_cast<size_t>(width) * 3);
    Image image(window.height, window.width, 3);
    for (int y = 0; y < window.top + window.height; ++y) {
      const int status = spng_decode_row(context.get(), raw.data(), raw.size());
      check_png(status == SPNG_EOI ? 0 : status, what);  // the end is told with the last row
      if (y < window.top) continue;
      convert_row(raw.data(), header, palette, options.style, width, row.data());
      std::copy_n(row.data() + static_cast<size_t>(window.left) * 3,
                  image.pixels.size() / image.height, image.row(y - window.top));
    }
    return image;
  }
  Image image(height, width, 3);
  if (header.color_type == SPNG_COLOR_TYPE_TRUECOLOR && header.bit_depth == 8) {
    check_png(
        spng_decode_image(context.get(), image.pixels.data(), image.pixels.size(), SPNG_FMT_RAW, 0),
        what);
  } else {
    std::vector<uint8_t> raw(size);
    check_png(spng_decode_image(context.get(), raw.data(), raw.size(), SPNG_FMT_RAW, 0), what);
    for (int y = 0; y < height; ++y) {
      convert_row(raw.data() + stride * static_cast<size_t>(y), header, palette, options.style,
                  width, image.row(y));
    }
  }
  return choose ? crop(image, window) : image;
}

}  // namespace asmlp
