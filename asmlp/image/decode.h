// Image files to 8-bit RGB, with the pixels that Pillow's Image.open(...).convert("RGB") gives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "asmlp/image/image.h"
#include "asmlp/image/resize.h"

namespace asmlp {

struct DecodeOptions {
  // More pixels than this are refused before they are allocated (decompression bombs). Pillow's own
  // warning limit.
  int64_t max_pixels = 89'478'485;
  size_t max_file_bytes = size_t{256} << 20;
};

// JPEG (ISLOW, fancy upsampling; CMYK and YCCK by Pillow's naive rule), PNG (gray, palette, alpha
// dropped, 16 bit as Pillow converts them), WebP; told apart by content, not by extension. EXIF
// orientation is ignored, as Pillow does. Errors name the file: kNotFound, kIo, kBadFormat
// (including truncated files), kTooLarge, kUnsupported (another format).
Image decode_image(const std::filesystem::path& path, const DecodeOptions& options = {});
Image decode_image(std::span<const std::byte> bytes, const std::string& what,
                   const DecodeOptions& options = {});

// A window that is not empty and inside an image of height x width pixels.
using ChooseWindow = std::function<Window(int height, int width)>;

// crop(decode_image(bytes, what, options), choose(height, width)), to the byte. Of a JPEG only the
// blocks around the window are brought to pixels; of a baseline JPEG and of a PNG that is not
// interlaced nothing is read below it, so damage there goes unnoticed. A window outside the image
// is Error(kInvalidArgument).
Image decode_image_window(std::span<const std::byte> bytes, const std::string& what,
                          const ChooseWindow& choose, const DecodeOptions& options = {});

// True for a name that ends in an extension that decode_image reads (jpg, jpeg, png, webp), in any
// case.
bool has_image_extension(const std::filesystem::path& path);

}  // namespace asmlp
