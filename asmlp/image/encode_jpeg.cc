#include <csetjmp>
#include <cstdio>
#include <cstdlib>

// jpeglib.h needs FILE and size_t from the headers above.
#include <jpeglib.h>

#include "asmlp/core/error.h"
#include "asmlp/image/encode.h"

namespace asmlp {
namespace {

// libjpeg calls back with a pointer to `base`, which comes first.
struct EncodeErrors {
  jpeg_error_mgr base;
  std::jmp_buf escape;
  char text[JMSG_LENGTH_MAX];
};

[[noreturn]] void on_encode_error(j_common_ptr info) {
  auto* errors = reinterpret_cast<EncodeErrors*>(info->err);
  info->err->format_message(info, errors->text);
  std::longjmp(errors->escape, 1);
}

void on_encode_message(j_common_ptr, int) {}

// One compression. Because longjmp must not skip destructors, no object that has one lives in
// run().
struct Encoder {
  jpeg_compress_struct info{};
  EncodeErrors errors{};
  unsigned char* bytes = nullptr;  // libjpeg's, by malloc
  unsigned long size = 0;

  ~Encoder() {
    jpeg_destroy_compress(&info);
    std::free(bytes);
  }

  bool run(const Image& image, int quality, int orientation) {
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = on_encode_error;
    errors.base.emit_message = on_encode_message;
    if (setjmp(errors.escape) != 0) return false;
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &bytes, &size);
    info.image_height = static_cast<JDIMENSION>(image.height);
    info.image_width = static_cast<JDIMENSION>(image.width);
    info.input_components = image.channels;
    info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    jpeg_start_compress(&info, TRUE);
    if (orientation != 1) {
      // One big-endian directory of one entry: tag 0x112, one SHORT.
      const unsigned char exif[]{'E', 'x',
                                 'i', 'f',
                                 0,   0,
                                 'M', 'M',
                                 0,   42,
                                 0,   0,
                                 0,   8,
                                 0,   1,
                                 1,   0x12,
                                 0,   3,
                                 0,   0,
                                 0,   1,
                                 0,   static_cast<unsigned char>(orientation),
                                 0,   0,
                                 0,   0,
                                 0,   0};
      jpeg_write_marker(&info, JPEG_APP0 + 1, exif, sizeof exif);
    }
    while (info.next_scanline < info.image_height) {
      auto* row = const_cast<uint8_t*>(image.row(static_cast<int>(info.next_scanline)));
      jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    return true;
  }
};

}  // namespace

std::string encode_jpeg(const Image& image, int quality, int orientation) {
  constexpr int kMaxSide = JPEG_MAX_DIMENSION;
  require(
      image.height >= 1 && image.width >= 1 && image.height <= kMaxSide && image.width <= kMaxSide,
      ErrorCode::kInvalidArgument, "cannot encode {} x {} pixels as JPEG: sides are 1..{}",
      image.width, image.height, kMaxSide);
  require(quality >= 1 && quality <= 100, ErrorCode::kInvalidArgument,
          "JPEG quality {}: must be 1..100", quality);
  require(orientation >= 1 && orientation <= 8, ErrorCode::kInvalidArgument,
          "orientation {}; EXIF has 1 to 8", orientation);
  Encoder encoder;
  require(encoder.run(image, quality, orientation), ErrorCode::kTooLarge,
          "cannot encode {} x {} pixels as JPEG: {}", image.width, image.height,
          encoder.errors.text);
  return {reinterpret_cast<const char*>(encoder.bytes), encoder.size};
}

}  // namespace asmlp
