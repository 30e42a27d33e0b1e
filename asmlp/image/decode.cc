#include "asmlp/image/decode.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/core/lower_case.h"
#include "asmlp/image/codecs.h"
#include "asmlp/image/exif.h"
#include "asmlp/image/orientation.h"

namespace asmlp {
namespace {

constexpr std::array<std::string_view, 9> kExtensions = {".jpg", ".jpeg", ".png",  ".ppm", ".bmp",
                                                         ".pgm", ".tif",  ".tiff", ".webp"};

// The name of a common format that is recognized only to be refused, for a helpful message.
const char* foreign_format(std::string_view text) {
  if (text.starts_with("GIF8")) return "a GIF file";
  if (text.substr(0, 8).ends_with("ftyp")) {
    const std::string_view brand = text.substr(8, 4);
    if (brand.starts_with("avi")) return "an AVIF file";
    if (brand.starts_with("he") || brand == "mif1" || brand == "msf1") return "a HEIC (HEIF) file";
    if (brand.starts_with("crx")) return "a CR3 raw file";
    return "an MP4 or QuickTime video";
  }
  const std::string_view head = text.substr(0, 1024);
  if (head.find("<svg") != head.npos) return "an SVG drawing";
  if (text.starts_with("\xff\x0a") || text.substr(0, 8).ends_with("JXL ")) return "a JPEG XL file";
  if (text.substr(0, 6).ends_with("jP") || text.starts_with("\xff\x4f\xff\x51")) {
    return "a JPEG 2000 file";
  }
  if (text.starts_with("8BPS")) return "a Photoshop file";
  if (text.starts_with("%PDF")) return "a PDF file";
  if (text.starts_with("\x93NUMPY")) return "a NumPy array";
  if (head.starts_with("<!DOCTYPE") || head.starts_with("<html")) return "a web page";
  return nullptr;
}

bool is_tiff(std::string_view text) {
  for (const std::string_view magic :
       {std::string_view("II*\0", 4), std::string_view("MM\0*", 4), std::string_view("II+\0", 4),
        std::string_view("MM\0+", 4)}) {
    if (text.starts_with(magic)) return true;
  }
  return false;
}

// The stored pixels: all, or the window that `choose` takes.
Image decode_stored(std::span<const std::byte> bytes, const std::string& what,
                    const ChooseWindow& choose, const DecodeOptions& options, Scaling* scaling) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xff\xd8\xff")) return decode_jpeg(bytes, what, options, choose, scaling);
  if (text.starts_with("\x89PNG\r\n\x1a\n")) return decode_png(bytes, what, options, choose);
  Image image;
  if (text.starts_with("RIFF") && text.substr(0, 12).ends_with("WEBP")) {
    image = decode_webp(bytes, what, options);
  } else if (text.starts_with("BM")) {
    image = decode_bmp(bytes, what, options);
  } else if (text.size() >= 2 && text[0] == 'P' && text[1] >= '1' && text[1] <= '6') {
    image = decode_pnm(bytes, what, options);
  } else if (is_tiff(text)) {
    image = decode_tiff(bytes, what, options);
  } else {
    const char* foreign = foreign_format(text);
    fail(ErrorCode::kUnsupported, "{}: is {}; JPEG, PNG, WebP, BMP, PPM and TIFF can be read{}",
         what, foreign != nullptr ? foreign : "no image file that is known here",
         foreign != nullptr ? ": convert it to one of them" : "");
  }
  return choose ? crop(image, checked_window(choose, image.height, image.width, what)) : image;
}

// The whole image, or the window that `choose` takes.
Image decode(std::span<const std::byte> bytes, const std::string& what, const ChooseWindow& choose,
             const DecodeOptions& options, Scaling* scaling = nullptr) {
  require(!bytes.empty(), ErrorCode::kBadFormat, "{}: the file is empty", what);
  require(bytes.size() <= options.max_file_bytes, ErrorCode::kTooLarge,
          "{}: {} bytes; {} are the most", what, bytes.size(), options.max_file_bytes);
  const int orientation = options.exif == Exif::kApply ? file_orientation(bytes, options.style) : 1;
  if (orientation == 1) return decode_stored(bytes, what, choose, options, scaling);
  ChooseWindow choose_stored;
  if (choose) {
    choose_stored = [&](int height, int width) {
      const bool swap = swaps_sides(orientation);
      const Window window =
          checked_window(choose, swap ? width : height, swap ? height : width, what);
      return stored_window(window, orientation, height, width);
    };
  }
  if (scaling != nullptr && swaps_sides(orientation)) std::swap(scaling->height, scaling->width);
  Image stored = decode_stored(bytes, what, choose_stored, options, scaling);
  if (scaling != nullptr && scaling->box) {
    scaling->box = upright_box(*scaling->box, orientation, stored.height, stored.width);
  }
  return upright(std::move(stored), orientation);
}

}  // namespace

DecodeOptions with_max_pixels(DecodeOptions options, int64_t max_pixels) {
  options.max_pixels = max_pixels;
  // Uncompressed RGBA of 16 bits takes 8 bytes a pixel.
  const size_t raw = static_cast<size_t>(max_pixels) * 8;
  options.max_file_bytes = std::max(options.max_file_bytes, raw);
  return options;
}

Image decode_image(std::span<const std::byte> bytes, const std::string& what,
                   const DecodeOptions& options) {
  return decode(bytes, what, {}, options);
}

Image decode_image_window(std::span<const std::byte> bytes, const std::string& what,
                          const ChooseWindow& choose, const DecodeOptions& options) {
  return decode(bytes, what, choose, options);
}

ScaledWindow decode_scaled_window(std::span<const std::byte> bytes, const std::string& what,
                                  const ChooseWindow& choose, int height, int width,
                                  const DecodeOptions& options) {
  require(height >= 1 && width >= 1, ErrorCode::kInvalidArgument,
          "a window to be resized to {} x {} (height x width)", height, width);
  Scaling scaling{height, width};
  ScaledWindow result{decode(bytes, what, choose, options, &scaling), {}};
  result.box =
      scaling.box.value_or(Box{0, 0, double(result.image.height), double(result.image.width)});
  return result;
}

Image decode_image(const std::filesystem::path& path, const DecodeOptions& options) {
  const std::string bytes = read_file(path, options.max_file_bytes);
  return decode_image(std::as_bytes(std::span(bytes)), path.string(), options);
}

Image decode_labeled_image(const std::filesystem::path& path, int height, int width,
                           const DecodeOptions& options, bool* stored) {
  const std::string file = read_file(path, options.max_file_bytes);
  const auto bytes = std::as_bytes(std::span(file));
  const auto fits = [&](const Image& image) {
    return image.height == height && image.width == width;
  };
  if (stored != nullptr) *stored = false;
  Image image = decode_image(bytes, path.string(), options);
  if (fits(image) || options.exif == Exif::kIgnore ||
      !swaps_sides(file_orientation(bytes, options.style)) || image.height != width ||
      image.width != height) {
    return image;
  }
  DecodeOptions as_stored = options;
  as_stored.exif = Exif::kIgnore;
  if (stored != nullptr) *stored = true;
  return decode_image(bytes, path.string(), as_stored);
}

const std::string& image_extensions() {
  static const std::string text = [] {
    std::string list;
    for (const std::string_view extension : kExtensions) {
      list += list.empty() ? "" : ", ";
      list += extension;
    }
    return list;
  }();
  return text;
}

bool has_image_extension(const std::filesystem::path& path) {
  const std::string extension = lower_case(path.extension().string());
  return std::ranges::find(kExtensions, extension) != kExtensions.end();
}

}  // namespace asmlp
