#include "asmlp/image/image.h"

#include "asmlp/core/error.h"

namespace asmlp {

Image::Image(int height, int width, int channels)
    : height(height), width(width), channels(channels) {
  require(height >= 0 && width >= 0 && (channels == 1 || channels == 3),
          ErrorCode::kInvalidArgument,
          "an image of {} x {} pixels with {} channels; sizes are >= 0, channels 1 or 3", height,
          width, channels);
  pixels.resize(static_cast<size_t>(height) * width * channels);
}

}  // namespace asmlp
