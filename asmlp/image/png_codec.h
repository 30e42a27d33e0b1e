// What the PNG decoders and encoders share of libspng. Errors name `what`.
#pragma once

#include <spng.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace asmlp {

// Deflate cannot shrink data more than this.
inline constexpr uint64_t kMaxDeflateRatio = 1032;

struct FreePngContext {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using PngContext = std::unique_ptr<spng_ctx, FreePngContext>;

// `flags` as spng_ctx_new has them. Error(kTooLarge) without memory.
PngContext new_png_context(int flags, const std::string& what);

// Error unless the status of a decoder's call is 0: kTooLarge for want of memory, else kBadFormat.
void check_png(int status, const std::string& what);

// The header of the file that was given to the context, of at most `max_pixels`
// (check_image_size).
spng_ihdr read_png_header(spng_ctx* context, int64_t max_pixels, const std::string& what);

// Bytes of the pixels in the file's own format (SPNG_FMT_RAW). Error(kBadFormat) for more than
// `file_bytes` can hold, before anybody allocates them.
size_t raw_png_size(spng_ctx* context, const spng_ihdr& header, size_t file_bytes,
                    const std::string& what);

}  // namespace asmlp
