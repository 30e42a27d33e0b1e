// Windows bitmaps, with the pixels that Pillow gives (and OpenCV for 16 bits).
#include <algorithm>
#include <array>
#include <vector>

#include "asmlp/image/codecs.h"

namespace asmlp {
namespace {

constexpr size_t kBmpFileHeader = 14;
enum class BmpCompression : uint32_t { kNone = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3 };

// Little-endian numbers of a file; reading beyond its end is an error.
class BmpFile {
 public:
  BmpFile(std::span<const std::byte> bytes, const std::string& what) : bytes_(bytes), what_(what) {}

  uint32_t u32(size_t at) const { return u16(at) | uint32_t{u16(at + 2)} << 16; }
  uint16_t u16(size_t at) const { return static_cast<uint16_t>(byte(at) | byte(at + 1) << 8); }
  uint8_t byte(size_t at) const {
    if (at >= bytes_.size()) fail_truncated();
    return static_cast<uint8_t>(bytes_[at]);
  }
  // `size` bytes from `at`.
  const uint8_t* data(uint64_t at, uint64_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) fail_truncated();
    return reinterpret_cast<const uint8_t*>(bytes_.data()) + at;
  }
  size_t size() const { return bytes_.size(); }
  const std::string& what() const { return what_; }

 private:
  [[noreturn]] void fail_truncated() const {
    fail(ErrorCode::kBadFormat, "{}: the BMP file is truncated", what_);
  }

  std::span<const std::byte> bytes_;
  const std::string& what_;
};

struct BmpHeader {
  int height = 0, width = 0;
  bool top_down = false;
  int bits = 0;
  BmpCompression compression = BmpCompression::kNone;
  std::array<uint32_t, 4> masks{};  // red, green, blue, alpha of bit fields
  size_t colors_at = 0;             // the palette
  size_t color_bytes = 4;
  uint32_t colors = 0;
  uint64_t pixels_at = 0;
};

BmpHeader read_bmp_header(const BmpFile& file, int64_t max_pixels) {
  BmpHeader header;
  const uint32_t size = file.u32(kBmpFileHeader);
  const size_t fields = kBmpFileHeader + 4;
  size_t end = kBmpFileHeader + size;
  int64_t height = 0, width = 0;
  constexpr std::array<uint32_t, 7> kSizes{12, 40, 52, 56, 64, 108, 124};
  require(std::ranges::find(kSizes, size) != kSizes.end(), ErrorCode::kUnsupported,
          "{}: a BMP header of {} bytes; 12, 40, 52, 56, 64, 108 and 124 are known", file.what(),
          size);
  file.data(kBmpFileHeader, size);
  if (size == 12) {
    width = file.u16(fields);
    height = file.u16(fields + 2);
    header.bits = file.u16(fields + 6);
    header.color_bytes = 3;
  } else {
    width = file.u32(fields);
    height = file.u32(fields + 4);
    header.top_down = file.byte(fields + 7) == 0xff;
    if (header.top_down) height = (int64_t{1} << 32) - height;
    header.bits = file.u16(fields + 10);
    header.compression = static_cast<BmpCompression>(file.u32(fields + 12));
    header.colors = file.u32(fields + 28);
    if (header.compression == BmpCompression::kBitFields) {
      const bool inside = size >= 52;  // else the masks follow the header
      const size_t masks = inside ? fields + 36 : end;
      const size_t count = size >= 56 ? 4 : 3;
      for (size_t c = 0; c < count; ++c) header.masks[c] = file.u32(masks + 4 * c);
      if (!inside) end += 12;
    }
  }
  check_image_size(height, width, max_pixels, file.what());
  header.height = static_cast<int>(height);
  header.width = static_cast<int>(width);
  constexpr std::array<int, 6> kDepths{1, 4, 8, 16, 24, 32};
  require(std::ranges::find(kDepths, header.bits) != kDepths.end(), ErrorCode::kUnsupported,
          "{}: a BMP file of {} bits a pixel; 1, 4, 8, 16, 24 and 32 can be read", file.what(),
          header.bits);
  if (header.colors == 0 && header.bits <= 8) header.colors = 1u << header.bits;
  header.colors_at = end;
  header.pixels_at = file.u32(10);
  const size_t palette = header.bits <= 8 ? header.color_bytes * header.colors : 0;
  if (header.pixels_at == 0 || (header.bits <= 8 && header.pixels_at == kBmpFileHeader + size)) {
    header.pixels_at = end + palette;
  }
  return header;
}

using BmpPalette = std::array<std::array<uint8_t, 3>, 256>;

// Colors that the file does not have are black.
BmpPalette bmp_palette(const BmpFile& file, const BmpHeader& header) {
  require(header.colors <= 256, ErrorCode::kBadFormat, "{}: a BMP palette of {} colors",
          file.what(), header.colors);
  BmpPalette palette{};
  for (size_t i = 0; i < header.colors; ++i) {
    const uint8_t* entry = file.data(header.colors_at + header.color_bytes * i, 3);
    palette[i] = {entry[2], entry[1], entry[0]};
  }
  return palette;
}

// Where red, green and blue lie in a pixel of 3 or 4 bytes; all 0 for another layout. Without masks
// the order is blue, green, red.
std::array<int, 3> byte_places(const BmpHeader& header) {
  if (header.compression == BmpCompression::kNone) return {2, 1, 0};
  std::array<int, 3> places{};
  for (size_t c = 0; c < 3; ++c) {
    for (int byte = 0; byte < header.bits / 8; ++byte) {
      if (header.masks[c] == 0xffu << 8 * byte) places[c] = byte;
    }
  }
  const bool none = std::ranges::all_of(header.masks, [](uint32_t mask) { return mask == 0; });
  if (none && header.bits == 32) return {2, 1, 0};
  const bool different = places[0] != places[1] && places[0] != places[2] && places[1] != places[2];
  return different ? places : std::array<int, 3>{};
}

// `value` of `bits` bits as one of 8.
uint8_t widened(uint32_t value, int bits, PixelStyle style) {
  if (style == PixelStyle::kOpenCv) return static_cast<uint8_t>(value << (8 - bits));
  return static_cast<uint8_t>(value * 255 / ((1u << bits) - 1));
}

void convert_16(const uint8_t* in, bool six_green, PixelStyle style, int width, uint8_t* out) {
  const int green_bits = six_green ? 6 : 5;
  for (int x = 0; x < width; ++x, in += 2, out += 3) {
    const uint32_t pixel = in[0] | uint32_t{in[1]} << 8;
    out[0] = widened(pixel >> (5 + green_bits) & 31, 5, style);
    out[1] = widened(pixel >> 5 & ((1u << green_bits) - 1), green_bits, style);
    out[2] = widened(pixel & 31, 5, style);
  }
}

// BmpPalette indices of a run-length coded file, in the file's order of rows.
std::vector<uint8_t> unpack_runs(const BmpFile& file, const BmpHeader& header) {
  const bool four_bits = header.compression == BmpCompression::kRle4;
  const auto width = static_cast<size_t>(header.width);
  const size_t total = width * static_cast<size_t>(header.height);
  std::vector<uint8_t> indices;
  indices.reserve(std::min<size_t>(total, file.size() * 255));
  size_t x = 0;
  uint64_t at = header.pixels_at;
  while (indices.size() < total && at + 2 <= file.size()) {
    const size_t count = file.byte(at), value = file.byte(at + 1);
    at += 2;
    if (count > 0) {
      const size_t run = std::min(count, width - std::min(x, width));
      for (size_t i = 0; i < run; ++i) {
        const size_t nibble = i % 2 == 0 ? value >> 4 : value & 15;
        indices.push_back(static_cast<uint8_t>(four_bits ? nibble : value));
      }
      x += run;
    } else if (value == 0) {  // the end of a row
      indices.resize((indices.size() + width - 1) / width * width);
      x = 0;
    } else if (value == 1) {  // the end
      break;
    } else if (value == 2) {  // to another place
      if (at + 2 > file.size()) break;
      const size_t steps = file.byte(at) + file.byte(at + 1) * width;
      at += 2;
      indices.resize(std::min(total, indices.size() + steps));
      x = indices.size() % width;
    } else {  // values as they are, padded to two bytes
      const size_t wanted = std::min(total - indices.size(), value);
      const size_t bytes = four_bits ? (wanted + 1) / 2 : wanted;
      if (at + bytes > file.size()) break;
      for (size_t i = 0; i < wanted; ++i) {
        const uint8_t byte = file.byte(at + (four_bits ? i / 2 : i));
        indices.push_back(static_cast<uint8_t>(!four_bits   ? byte
                                               : i % 2 == 0 ? byte >> 4
                                                            : byte & 15));
      }
      at += bytes;
      x += value;
      at += at % 2;
    }
  }
  require(indices.size() >= total, ErrorCode::kBadFormat,
          "{}: the BMP file holds {} of {} pixels; it is truncated or damaged", file.what(),
          indices.size(), total);
  indices.resize(total);
  return indices;
}

}  // namespace

Image decode_bmp(std::span<const std::byte> bytes, const std::string& what,
                 const DecodeOptions& options) {
  const BmpFile file(bytes, what);
  const BmpHeader header = read_bmp_header(file, options.max_pixels);
  const BmpCompression compression = header.compression;
  const bool runs = compression == BmpCompression::kRle8 || compression == BmpCompression::kRle4;
  const bool fields = compression == BmpCompression::kBitFields;
  require((runs && header.bits <= 8) || fields || compression == BmpCompression::kNone,
          ErrorCode::kUnsupported,
          "{}: a BMP file with compression {} of {} bits a pixel, which cannot be read", what,
          static_cast<uint32_t>(compression), header.bits);
  const uint64_t stride = (static_cast<uint64_t>(header.width) * header.bits + 31) / 32 * 4;
  // The padding of the last row need not be there.
  const uint64_t row_bytes = (static_cast<uint64_t>(header.width) * header.bits + 7) / 8;
  const uint64_t size = stride * (static_cast<uint64_t>(header.height) - 1) + row_bytes;
  const uint8_t* packed = runs ? nullptr : file.data(header.pixels_at, size);
  const std::vector<uint8_t> indices = runs ? unpack_runs(file, header) : std::vector<uint8_t>();
  const BmpPalette palette = header.bits <= 8 ? bmp_palette(file, header) : BmpPalette{};
  const bool six_green = fields && header.masks[1] == 0x7e0;
  const std::array<int, 3> places = byte_places(header);
  const std::array<uint32_t, 3> rgb{header.masks[0], header.masks[1], header.masks[2]};
  const bool known_fields = header.bits == 16
                                ? rgb == std::array<uint32_t, 3>{0xf800, 0x7e0, 0x1f} ||
                                      rgb == std::array<uint32_t, 3>{0x7c00, 0x3e0, 0x1f}
                                : header.bits >= 24 && places != std::array<int, 3>{};
  require(!fields || known_fields, ErrorCode::kUnsupported,
          "{}: a BMP file of {} bits with the color masks {:x}, {:x}, {:x}, which cannot be read",
          what, header.bits, rgb[0], rgb[1], rgb[2]);
  Image image(header.height, header.width, 3);
  for (int y = 0; y < header.height; ++y) {
    uint8_t* out = image.row(header.top_down ? y : header.height - 1 - y);
    const auto row = static_cast<size_t>(y);
    const uint8_t* in = runs ? indices.data() + row * header.width : packed + row * stride;
    if (header.bits <= 8) {
      const int depth = runs ? 8 : header.bits;
      for (int x = 0; x < header.width; ++x, out += 3) {
        const int shift = 8 - depth - x * depth % 8;
        const int index = in[int64_t{x} * depth / 8] >> shift & ((1 << depth) - 1);
        std::ranges::copy(palette[static_cast<size_t>(index)], out);
      }
    } else if (header.bits == 16) {
      convert_16(in, six_green, options.style, header.width, out);
    } else {
      for (int x = 0; x < header.width; ++x, in += header.bits / 8) {
        for (const int place : places) *out++ = in[place];
      }
    }
  }
  return image;
}

}  // namespace asmlp
