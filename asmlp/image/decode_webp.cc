#include <webp/decode.h>

#include "asmlp/image/codecs.h"

namespace asmlp {

Image decode_webp(std::span<const std::byte> bytes, const std::string& what,
                  const DecodeOptions& options) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  require(WebPGetFeatures(data, bytes.size(), &features) == VP8_STATUS_OK, ErrorCode::kBadFormat,
          "{}: the WebP header is damaged or truncated", what);
  check_image_size(features.height, features.width, options.max_pixels, what);
  require(!features.has_animation, ErrorCode::kUnsupported,
          "{}: an animated WebP file; only still images can be read", what);
  Image image(features.height, features.width, 3);
  // Alpha is dropped, not composited, as Pillow's convert("RGB") does.
  const uint8_t* done = WebPDecodeRGBInto(data, bytes.size(), image.pixels.data(),
                                          image.pixels.size(), image.width * 3);
  require(done != nullptr, ErrorCode::kBadFormat, "{}: the WebP data is damaged or truncated",
          what);
  return image;
}

}  // namespace asmlp
