// EXIF orientation as image files carry it.
#pragma once

#include <cstddef>
#include <span>

#include "asmlp/image/decode.h"

namespace asmlp {

// The orientation 1..8 (orientation.h) that a TIFF structure gives in the first directory: that of
// an EXIF block (with or without "Exif\0\0" before it) or a whole TIFF or BigTIFF file. 1 where
// there is none or what is there is damaged; never an error.
int exif_orientation(std::span<const std::byte> tiff);

// The same of a whole file: JPEG (every APP1 segment before the first scan), PNG (eXIf), WebP
// (EXIF), TIFF. In Pillow's style, where there is no EXIF orientation, that of an XMP packet counts
// (tiff:Orientation); OpenCV does not look at it. 1 for other formats.
int file_orientation(std::span<const std::byte> file, PixelStyle style);

}  // namespace asmlp
