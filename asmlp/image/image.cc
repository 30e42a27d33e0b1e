#include "asmlp/image/image.h"

#include "asmlp/core/error.h"
#include "asmlp/core/out_of_memory.h"

namespace asmlp {

Image::Image(int height, int width, int channels)
    : height(height), width(width), channels(channels) {
  require(height >= 0 && width >= 0 && (channels == 1 || channels == 3),
          ErrorCode::kInvalidArgument,
          "an image of {} x {} pixels with {} channels; sizes are >= 0, channels 1 or 3", height,
          width, channels);
  const size_t bytes = static_cast<size_t>(height) * width * channels;
  try {
    pixels.resize(bytes);
  } catch (const std::bad_alloc&) {
    throw OutOfMemory(fmt::format(
        "out of memory: an image of {} x {} pixels needs {:.3g} MB, which the system refuses",
        height, width, static_cast<double>(bytes) / 1e6));
  }
}

Image copy_of(const PixelView& view) {
  Image image;
  image.height = view.height;
  image.width = view.width;
  image.channels = view.channels;
  image.pixels.assign(view.pixels, view.row(view.height));
  return image;
}

}  // namespace asmlp
