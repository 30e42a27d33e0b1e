#include "asmlp/image/labels/label_png.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <string_view>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/image/encode.h"
#include "asmlp/image/png_codec.h"

namespace asmlp {
namespace {

// Chunks that are not pixels may take this much memory.
constexpr size_t kMaxChunkBytes = size_t{64} << 20;

// Empty when the file holds labels, else what it holds.
std::string foreign_content(const spng_ihdr& header) {
  const int depth = header.bit_depth;
  switch (header.color_type) {
    case SPNG_COLOR_TYPE_INDEXED:
      return "";
    case SPNG_COLOR_TYPE_GRAYSCALE:
      return depth == 8 ? "" : fmt::format("{}-bit gray", depth);
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
      return fmt::format("{}-bit gray with alpha", depth);
    case SPNG_COLOR_TYPE_TRUECOLOR:
      return fmt::format("{}-bit RGB", depth);
    default:
      return fmt::format("{}-bit RGBA", depth);
  }
}

}  // namespace

Image decode_label_png(std::span<const std::byte> bytes, const std::string& what,
                       const DecodeOptions& options) {
  constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
  require(bytes.size() <= options.max_file_bytes, ErrorCode::kTooLarge,
          "{}: {} bytes; {} are the most", what, bytes.size(), options.max_file_bytes);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  require(text.starts_with(kSignature), ErrorCode::kUnsupported,
          "{}: is no PNG file; labels are read from 8-bit gray or palette PNGs", what);
  const PngContext context = new_png_context(0, what);
  spng_set_chunk_limits(context.get(), kMaxChunkBytes, kMaxChunkBytes);
  check_png(spng_set_png_buffer(context.get(), bytes.data(), bytes.size()), what);
  const spng_ihdr header = read_png_header(context.get(), options.max_pixels, what);
  const std::string foreign = foreign_content(header);
  require(foreign.empty(), ErrorCode::kUnsupported,
          "{}: is a PNG of {}; labels are read from 8-bit gray or palette PNGs", what, foreign);
  const size_t size = raw_png_size(context.get(), header, bytes.size(), what);
  Image labels(static_cast<int>(header.height), static_cast<int>(header.width), 1);
  const int depth = header.bit_depth;
  if (depth == 8) {
    check_png(spng_decode_image(context.get(), labels.pixels.data(), labels.pixels.size(),
                                SPNG_FMT_RAW, 0),
              what);
    return labels;
  }
  // Indices of 1, 2 or 4 bits, most significant bits first; rows begin with a byte.
  std::vector<uint8_t> raw(size);
  check_png(spng_decode_image(context.get(), raw.data(), raw.size(), SPNG_FMT_RAW, 0), what);
  const size_t stride = size / header.height;
  for (int y = 0; y < labels.height; ++y) {
    const uint8_t* row = raw.data() + stride * static_cast<size_t>(y);
    for (int x = 0; x < labels.width; ++x) {
      const int64_t bit = int64_t{x} * depth;
      const int shift = 8 - depth - static_cast<int>(bit % 8);
      labels.row(y)[x] = static_cast<uint8_t>((row[bit / 8] >> shift) & ((1 << depth) - 1));
    }
  }
  return labels;
}

Image read_label_png(const std::filesystem::path& path, const DecodeOptions& options) {
  const std::string bytes = read_file(path, options.max_file_bytes);
  return decode_label_png(std::as_bytes(std::span(bytes)), path.string(), options);
}

std::vector<uint8_t> encode_label_png(const Image& labels, std::span<const Color> palette) {
  require(labels.channels == 1, ErrorCode::kInvalidArgument,
          "an image of {} channels where labels have one", labels.channels);
  if (palette.empty()) return encode_png(labels);
  require(labels.height >= 1 && labels.width >= 1, ErrorCode::kInvalidArgument,
          "cannot encode an empty image ({} x {} pixels) as PNG", labels.width, labels.height);
  const size_t highest = *std::ranges::max_element(labels.pixels);
  require(palette.size() <= 256 && highest < palette.size(), ErrorCode::kInvalidArgument,
          "a palette of {} colors for labels up to {}; it needs one for each and at most 256",
          palette.size(), highest);
  const std::string what = "labels";
  const PngContext context = new_png_context(SPNG_CTX_ENCODER, what);
  const auto encoded = [&](int status) {
    require(status == 0, ErrorCode::kTooLarge, "cannot encode {} x {} labels as PNG: {}",
            labels.width, labels.height, spng_strerror(status));
  };
  encoded(spng_set_option(context.get(), SPNG_ENCODE_TO_BUFFER, 1));
  spng_ihdr header{};
  header.height = static_cast<uint32_t>(labels.height);
  header.width = static_cast<uint32_t>(labels.width);
  header.bit_depth = 8;
  header.color_type = SPNG_COLOR_TYPE_INDEXED;
  encoded(spng_set_ihdr(context.get(), &header));
  spng_plte entries{};
  entries.n_entries = static_cast<uint32_t>(palette.size());
  for (size_t i = 0; i < palette.size(); ++i) {
    entries.entries[i] = {palette[i].r, palette[i].g, palette[i].b, 255};
  }
  encoded(spng_set_plte(context.get(), &entries));
  encoded(spng_encode_image(context.get(), labels.pixels.data(), labels.pixels.size(), SPNG_FMT_PNG,
                            SPNG_ENCODE_FINALIZE));
  size_t size = 0;
  int status = 0;
  const std::unique_ptr<void, decltype(&std::free)> buffer(
      spng_get_png_buffer(context.get(), &size, &status), std::free);
  encoded(status);
  const auto* bytes = static_cast<const uint8_t*>(buffer.get());
  return {bytes, bytes + size};
}

void write_label_png(const std::filesystem::path& path, const Image& labels,
                     std::span<const Color> palette) {
  const std::vector<uint8_t> bytes = encode_label_png(labels, palette);
  write_file_atomically(path, [&](std::ostream& stream) {
    stream.write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  });
}

}  // namespace asmlp
