// Label maps (a class number per pixel) as PNG files: what decode_image would turn into colors.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "asmlp/image/decode.h"
#include "asmlp/image/image.h"
#include "asmlp/image/labels/color.h"

namespace asmlp {

// The numbers stored in a PNG file: the samples of an 8-bit gray one, the palette indices of an
// indexed one (of any depth; the palette itself is passed over), as H x W x 1. Files that hold no
// such numbers are Error(kUnsupported), saying what they hold: color, alpha, 16 bits, gray of
// fewer than 8 bits (whose samples some programs scale and some do not), another format. Other
// errors as decode_image's.
Image decode_label_png(std::span<const std::byte> bytes, const std::string& what,
                       const DecodeOptions& options = {});
Image read_label_png(const std::filesystem::path& path, const DecodeOptions& options = {});

// An H x W x 1 image as the bytes of a PNG file that decode_label_png reads back unchanged: 8-bit
// gray, or with a palette (1..256 colors) 8-bit indexed, so that viewers show the classes in
// color. Error(kInvalidArgument) for an empty image, one of three channels, or a label without
// color.
std::vector<uint8_t> encode_label_png(const Image& labels, std::span<const Color> palette = {});

// Writes encode_label_png(labels, palette) atomically; Error(kIo) names the file.
void write_label_png(const std::filesystem::path& path, const Image& labels,
                     std::span<const Color> palette = {});

}  // namespace asmlp
