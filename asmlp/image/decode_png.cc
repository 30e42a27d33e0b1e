// PNG. Which files are accepted is Pillow's choice: the chunks before the pixels must be whole
// (checksums included), of the pixels only the checksum of the deflate stream counts, and nothing
// that follows them matters. Files that are in order are decoded here (png_rows.h); libspng has the
// others, interlaced and damaged ones, and says what is wrong with them. It gets a file of the
// header and the pixels only.
#include <libdeflate.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "asmlp/image/codecs.h"
#include "asmlp/image/png_codec.h"
#include "asmlp/image/png_rows.h"

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
  std::string header;                    // the signature and the chunk IHDR, for reduced_png
  std::vector<std::string_view> pixels;  // the contents of the chunks IDAT
  PngPalette palette;
  bool indexed = false;
};
constexpr size_t kPngSignature = 8, kPngHeader = 13;

// A file of header, pixels, and end, whose checksums nobody looks at.
std::string reduced_png(const PngParts& parts) {
  std::string file = parts.header;
  for (const std::string_view content : parts.pixels) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      file += static_cast<char>(content.size() >> shift & 255);
    }
    file.append("IDAT").append(content).append("0000");
  }
  return file += std::string_view("\0\0\0\0IEND0000", 12);
}

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

uint32_t crc_of(std::string_view text) { return libdeflate_crc32(0, text.data(), text.size()); }

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
  const auto truncated = [&] {
    fail(ErrorCode::kBadFormat, "{}: cannot decode the PNG data: the file is truncated", what);
  };
  PngParts parts;
  // Entries that the file does not have are gray in Pillow, black in OpenCV.
  for (int i = 0; i < 256; ++i) {
    parts.palette[i].fill(style == PixelStyle::kPillow ? static_cast<uint8_t>(i) : uint8_t{0});
  }
  bool damaged = false;
  for (size_t at = kPngSignature;;) {
    if (at + 8 > text.size()) {
      if (parts.pixels.empty()) truncated();
      break;
    }
    const size_t length = big_endian_at(text, at);
    const std::string_view type = text.substr(at + 4, 4);
    const std::string_view content = text.substr(at + 8, length);
    if (type == "IDAT") {
      require(!parts.header.empty(), ErrorCode::kBadFormat, "{}: a PNG file without its header",
              what);
      // Of a file that ends in its pixels, what is there: the decoder says what is missing.
      parts.pixels.push_back(content);
      damaged = damaged ||
                (at + 12 + length <= text.size() &&
                 crc_of(text.substr(at + 4, length + 4)) != big_endian_at(text, at + 8 + length));
    } else if (!parts.pixels.empty()) {
      break;
    } else {
      if (at + 12 + length > text.size()) truncated();
      require(crc_of(text.substr(at + 4, length + 4)) == big_endian_at(text, at + 8 + length),
              ErrorCode::kBadFormat,
              "{}: cannot decode the PNG data: the checksum of its chunk at byte {} is wrong", what,
              at);
      require(type != "IEND", ErrorCode::kBadFormat, "{}: a PNG file without pixels", what);
      if (type == "IHDR" && parts.header.empty()) {
        require(length >= kPngHeader, ErrorCode::kBadFormat, "{}: a PNG header of {} bytes", what,
                length);
        parts.header = text.substr(0, kPngSignature);
        parts.header += std::string_view("\0\0\0\r", 4);
        parts.header += text.substr(at + 4, 4 + kPngHeader);
        parts.header += "0000";
      } else if (type == "PLTE") {
        take_palette(content, what, parts.palette);
      }
    }
    at += 12 + length;
  }
  if (damaged) {
    std::string stream;
    for (const std::string_view content : parts.pixels) stream += content;
    check_stream(stream, most_png_bytes(parts.header, options.max_pixels), what);
  }
  // Rows of palette indices are laid out as rows of gray samples, which need no palette.
  constexpr size_t kColorType = kPngSignature + 8 + 9, kInterlaced = kPngSignature + 8 + 12;
  std::string& header = parts.header;
  parts.indexed = header[kColorType] == SPNG_COLOR_TYPE_INDEXED && header[kColorType - 1] <= 8;
  if (parts.indexed) header[kColorType] = SPNG_COLOR_TYPE_GRAYSCALE;
  if (header[kInterlaced] != 0) header[kInterlaced] = 1;
  header[kInterlaced - 2] = 0;  // only one method of compression exists
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

// The header of a file that decode_rows takes: one of PNG's formats, not interlaced.
std::optional<spng_ihdr> plain_header(const std::string& bytes) {
  spng_ihdr header{};
  header.width = big_endian_at(bytes, kPngSignature + 8);
  header.height = big_endian_at(bytes, kPngSignature + 12);
  const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[kPngSignature + 16 + i]); };
  const int depth = header.bit_depth = at(0);
  const int color = header.color_type = at(1);
  header.filter_method = at(3);
  header.interlace_method = at(4);
  const bool whole_bytes = depth == 8 || depth == 16;
  const bool gray =
      color == SPNG_COLOR_TYPE_GRAYSCALE && (whole_bytes || depth == 1 || depth == 2 || depth == 4);
  const bool others = whole_bytes && (color == SPNG_COLOR_TYPE_TRUECOLOR ||
                                      color == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA ||
                                      color == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA);
  constexpr uint32_t kMost = 0x7fffffff;
  if ((!gray && !others) || header.filter_method != 0 || header.interlace_method != 0 ||
      header.width < 1 || header.width > kMost || header.height < 1 || header.height > kMost) {
    return std::nullopt;
  }
  return header;
}

uint64_t bits_of_pixel(const spng_ihdr& header) {
  const int samples = header.color_type == SPNG_COLOR_TYPE_TRUECOLOR         ? 3
                      : header.color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA ? 4
                      : header.color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA ? 2
                                                                             : 1;
  return static_cast<uint64_t>(samples) * header.bit_depth;
}

// The window of a file in order; nothing for others.
std::optional<Image> decode_rows(const PngParts& parts, const spng_ihdr& header, PixelStyle style,
                                 const Window& window) {
  const uint64_t bits = bits_of_pixel(header);
  const size_t stride = (header.width * bits + 7) / 8 + 1, size = stride * header.height;
  // Of usual pictures one buffer after the other would cost a page fault every 4 kB.
  constexpr size_t kMostKept = size_t{4} << 20;
  thread_local std::unique_ptr<uint8_t[]> kept;
  std::unique_ptr<uint8_t[]> large;
  if (size + kPngSlack > kMostKept) {
    large.reset(new uint8_t[size + kPngSlack]);
  } else if (kept == nullptr) {
    kept.reset(new uint8_t[kMostKept]);
  }
  uint8_t* const rows = large ? large.get() : kept.get();
  if (!unpack_png_rows(parts.pixels, {rows, size})) return std::nullopt;
  // What is right of the window and below it has no influence on it.
  const int right = window.left + window.width, bottom = window.top + window.height;
  const size_t pixel = std::max<size_t>(bits / 8, 1);
  const size_t count = (static_cast<uint64_t>(right) * bits + 7) / 8;
  const PngPalette* palette = parts.indexed ? &parts.palette : nullptr;
  const bool as_is = header.color_type == SPNG_COLOR_TYPE_TRUECOLOR && header.bit_depth == 8;
  const size_t bytes = static_cast<size_t>(window.width) * 3, skip = size_t{3} * window.left;
  std::vector<uint8_t> row(static_cast<size_t>(right) * 3);
  Image image(window.height, window.width, 3);
  for (int y = 0; y < static_cast<int>(header.height); ++y) {
    uint8_t* raw = rows + stride * static_cast<size_t>(y);
    if (y >= bottom) {
      if (raw[0] > 4) return std::nullopt;
      continue;
    }
    if (!unfilter_png_row(raw, y > 0 ? raw - stride + 1 : nullptr, count, pixel)) {
      return std::nullopt;
    }
    if (y < window.top) continue;
    if (!as_is) convert_row(raw + 1, header, palette, style, right, row.data());
    std::copy_n((as_is ? raw + 1 : row.data()) + skip, bytes, image.row(y - window.top));
  }
  return image;
}

}  // namespace

Image decode_png(std::span<const std::byte> bytes, const std::string& what,
                 const DecodeOptions& options, const ChooseWindow& choose) {
  const PngParts parts = parts_of(bytes, what, options);
  std::optional<Window> chosen;
  if (const std::optional<spng_ihdr> plain = plain_header(parts.header)) {
    check_image_size(plain->height, plain->width, options.max_pixels, what);
    const int height = static_cast<int>(plain->height), width = static_cast<int>(plain->width);
    const uint64_t size = (plain->width * bits_of_pixel(*plain) + 7) / 8 * plain->height;
    if (size <= kMaxDeflateRatio * bytes.size()) {
      chosen = choose ? checked_window(choose, height, width, what) : Window{0, 0, height, width};
      if (std::optional<Image> image = decode_rows(parts, *plain, options.style, *chosen)) {
        return *std::move(image);
      }
    }
  }
  const std::string reduced = reduced_png(parts);
  const PngContext context = new_png_context(0, what);
  check_png(spng_set_crc_action(context.get(), SPNG_CRC_USE, SPNG_CRC_USE), what);
  check_png(spng_set_png_buffer(context.get(), reduced.data(), reduced.size()), what);
  const spng_ihdr header = read_png_header(context.get(), options.max_pixels, what);
  // RAW keeps the file's pixel format, which is the only way to Pillow's reading of each of them.
  const size_t size = raw_png_size(context.get(), header, bytes.size(), what);
  const int height = static_cast<int>(header.height), width = static_cast<int>(header.width);
  const Window all{0, 0, height, width};
  // It may be drawn, and so once only.
  const Window window = chosen   ? *chosen
                        : choose ? checked_window(choose, height, width, what)
                                 : all;
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
