#include "asmlp/image/decode.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <string_view>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/image/codecs.h"

namespace asmlp {
namespace {

bool has_prefix(std::span<const std::byte> bytes, std::string_view prefix, size_t offset = 0) {
  return bytes.size() >= offset + prefix.size() &&
         std::memcmp(bytes.data() + offset, prefix.data(), prefix.size()) == 0;
}

// The name of a common format that is recognized only to be refused, for a helpful message.
const char* foreign_format(std::span<const std::byte> bytes) {
  if (has_prefix(bytes, "GIF8")) return "a GIF file";
  if (has_prefix(bytes, "BM")) return "a BMP file";
  if (has_prefix(bytes, "II*") || has_prefix(bytes, "MM")) return "a TIFF file";
  if (has_prefix(bytes, "ftyp", 4)) return "an AVIF, HEIF or MP4 file";
  if (has_prefix(bytes, "<?xml") || has_prefix(bytes, "<svg")) return "an SVG file";
  return "no image file that is known here";
}

// The whole image, or the window that `choose` takes.
Image decode(std::span<const std::byte> bytes, const std::string& what, const ChooseWindow& choose,
             const DecodeOptions& options) {
  require(!bytes.empty(), ErrorCode::kBadFormat, "{}: the file is empty", what);
  require(bytes.size() <= options.max_file_bytes, ErrorCode::kTooLarge,
          "{}: {} bytes; {} are the most", what, bytes.size(), options.max_file_bytes);
  if (has_prefix(bytes, "\xff\xd8\xff")) {
    return decode_jpeg(bytes, what, options.max_pixels, choose);
  }
  if (has_prefix(bytes, "\x89PNG\r\n\x1a\n")) {
    return decode_png(bytes, what, options.max_pixels, choose);
  }
  if (has_prefix(bytes, "RIFF") && has_prefix(bytes, "WEBP", 8)) {
    const Image image = decode_webp(bytes, what, options.max_pixels);
    return choose ? crop(image, checked_window(choose, image.height, image.width, what)) : image;
  }
  fail(ErrorCode::kUnsupported, "{}: is {}; JPEG, PNG and WebP can be read", what,
       foreign_format(bytes));
}

}  // namespace

Image decode_image(std::span<const std::byte> bytes, const std::string& what,
                   const DecodeOptions& options) {
  return decode(bytes, what, {}, options);
}

Image decode_image_window(std::span<const std::byte> bytes, const std::string& what,
                          const ChooseWindow& choose, const DecodeOptions& options) {
  return decode(bytes, what, choose, options);
}

Image decode_image(const std::filesystem::path& path, const DecodeOptions& options) {
  const std::string bytes = read_file(path, options.max_file_bytes);
  return decode_image(std::as_bytes(std::span(bytes)), path.string(), options);
}

bool has_image_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::array<std::string_view, 4> kKnown = {".jpg", ".jpeg", ".png", ".webp"};
  return std::find(kKnown.begin(), kKnown.end(), extension) != kKnown.end();
}

}  // namespace asmlp
