// Image files to 8-bit RGB, with the pixels that Pillow's Image.open(...).convert("RGB") gives, or
// those of OpenCV's imread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "asmlp/enums.hpp"
#include "asmlp/image/image.h"
#include "asmlp/image/resize.h"

namespace asmlp {

struct DecodeOptions {
  // More pixels than this are refused before they are allocated (decompression bombs). Pillow's own
  // warning limit.
  int64_t max_pixels = 89'478'485;
  size_t max_file_bytes = size_t{256} << 20;
  Exif exif = Exif::kApply;
  PixelStyle style = PixelStyle::kPillow;
};

// The options with another limit of pixels, and room for the files of such pictures.
DecodeOptions with_max_pixels(DecodeOptions options, int64_t max_pixels);

// JPEG, PNG, WebP, BMP, PNM (PBM, PGM, PPM, plain and raw) and TIFF (its first page); told apart by
// content, not by extension. Alpha is dropped. EXIF orientation is applied or ignored in every
// format alike (exif.h). Errors name the file: kNotFound, kIo, kBadFormat (what is damaged so that
// Pillow refuses it, and every truncated file), kTooLarge, kUnsupported (another format, which the
// message names).
Image decode_image(const std::filesystem::path& path, const DecodeOptions& options = {});
Image decode_image(std::span<const std::byte> bytes, const std::string& what,
                   const DecodeOptions& options = {});

// A window that is not empty and inside an image of height x width pixels.
using ChooseWindow = std::function<Window(int height, int width)>;

// crop(decode_image(bytes, what, options), choose(height, width)), to the byte, in the orientation
// of the options. Of a JPEG only the blocks around the window are brought to pixels; of a baseline
// JPEG and of a PNG that is not interlaced nothing is read below it, so damage there goes
// unnoticed. A window outside the image is Error(kInvalidArgument).
Image decode_image_window(std::span<const std::byte> bytes, const std::string& what,
                          const ChooseWindow& choose, const DecodeOptions& options = {});

// A window that is to be resized to height x width, in a picture that may be smaller than the
// stored one: where it lies in `image`, in pixels of that, which need not be whole. Around it
// `image` may hold what a filter reaches.
struct ScaledWindow {
  Image image;
  Box box;
};

// decode_image_window for resize_box(image, height, width, box): of a JPEG whose window is at least
// 2, 4, or 8 times as high and as wide as that, each block of 8 x 8 pixels is brought to 4 x 4,
// 2 x 2, or 1 x 1 (libjpeg's scaled inverse DCT, as Pillow's Image.draft): much faster, and not the
// same bytes. Everything else is decode_image_window's window, with a box around all of it.
ScaledWindow decode_scaled_window(std::span<const std::byte> bytes, const std::string& what,
                                  const ChooseWindow& choose, int height, int width,
                                  const DecodeOptions& options = {});

// decode_image of a picture whose labels are for height x width pixels. Where the options apply
// EXIF orientation, but only the stored pixels have that size, those are what is labeled: the
// picture is not turned, and `stored` (if not null) becomes true.
Image decode_labeled_image(const std::filesystem::path& path, int height, int width,
                           const DecodeOptions& options = {}, bool* stored = nullptr);

// The extensions of what decode_image reads, as torchvision's ImageFolder lists them: ".jpg, .jpeg,
// .png, .ppm, .bmp, .pgm, .tif, .tiff, .webp", for messages.
const std::string& image_extensions();

// True for a name that ends in one of them, in any case.
bool has_image_extension(const std::filesystem::path& path);

}  // namespace asmlp
