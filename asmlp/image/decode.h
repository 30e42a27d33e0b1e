// Image files to 8-bit RGB, with the pixels that Pillow's Image.open(...).convert("RGB") gives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "asmlp/image/image.h"

namespace asmlp {

struct DecodeOptions {
  // More pixels than this are refused before they are allocated (decompression bombs). Pillow's own
  // warning limit.
  int64_t max_pixels = 89'478'485;
  size_t max_file_bytes = size_t{256} << 20;
};

// JPEG (ISLOW, fancy upsampling; CMYK and YCCK by Pillow's naive rule), PNG (grey, palette, alpha
// dropped, 16 bit as Pillow converts them), WebP; told apart by content, not by extension. EXIF
// orientation is ignored, as Pillow does. Errors name the file: kNotFound, kIo, kBadFormat
// (including truncated files), kTooLarge, kUnsupported (another format).
Image decode_image(const std::filesystem::path& path, const DecodeOptions& options = {});
Image decode_image(std::span<const std::byte> bytes, const std::string& what,
                   const DecodeOptions& options = {});

// True for a name that ends in an extension that decode_image reads (jpg, jpeg, png, webp), in any
// case.
bool has_image_extension(const std::filesystem::path& path);

}  // namespace asmlp
