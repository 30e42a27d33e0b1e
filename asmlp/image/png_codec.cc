#include "asmlp/image/png_codec.h"

#include "asmlp/core/error.h"
#include "asmlp/image/codecs.h"

namespace asmlp {

PngContext new_png_context(int flags, const std::string& what) {
  PngContext context(spng_ctx_new(flags));
  require(context != nullptr, ErrorCode::kTooLarge, "{}: no memory for a PNG codec", what);
  return context;
}

void check_png(int status, const std::string& what) {
  const bool too_large = status == SPNG_EMEM || status == SPNG_EOVERFLOW;
  require(status == 0, too_large ? ErrorCode::kTooLarge : ErrorCode::kBadFormat,
          "{}: cannot decode the PNG data: {}", what, spng_strerror(status));
}

spng_ihdr read_png_header(spng_ctx* context, int64_t max_pixels, const std::string& what) {
  spng_ihdr header;
  check_png(spng_get_ihdr(context, &header), what);
  check_image_size(header.height, header.width, max_pixels, what);
  return header;
}

size_t raw_png_size(spng_ctx* context, const spng_ihdr& header, size_t file_bytes,
                    const std::string& what) {
  size_t size = 0;
  check_png(spng_decoded_image_size(context, SPNG_FMT_RAW, &size), what);
  require(size / kMaxDeflateRatio <= file_bytes, ErrorCode::kBadFormat,
          "{}: {} bytes cannot hold the {} x {} pixels that the PNG header announces; the file is "
          "truncated",
          what, file_bytes, header.width, header.height);
  return size;
}

}  // namespace asmlp
