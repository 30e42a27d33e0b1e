// 8-bit images to PNG files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "asmlp/image/image.h"

namespace asmlp {

// The bytes of a PNG file, grey or RGB, that decode_image reads back unchanged. An empty image is
// Error(kInvalidArgument).
std::vector<uint8_t> encode_png(const Image& image);

// Writes encode_png(image) atomically; Error(kIo) names the file.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace asmlp
