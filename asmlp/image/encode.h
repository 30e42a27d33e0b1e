// 8-bit images to PNG and JPEG files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/image/image.h"

namespace asmlp {

// The bytes of a PNG file, gray or RGB, that decode_image reads back unchanged. An empty image is
// Error(kInvalidArgument).
std::vector<uint8_t> encode_png(const Image& image);

// Writes encode_png(image) atomically; Error(kIo) names the file.
void write_png(const std::filesystem::path& path, const Image& image);

// The bytes of a JPEG file, gray or RGB (stored as YCbCr, chroma at half resolution, as Pillow's
// default): quality 1..100 on libjpeg's scale, sides 1..65500, else Error(kInvalidArgument). An
// EXIF orientation (2..8) is written where the pixels are not upright.
std::string encode_jpeg(const Image& image, int quality, int orientation = 1);

}  // namespace asmlp
