#include "asmlp/api/views.h"

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/image/preprocess.h"

namespace asmlp {

void check_image(const ImageView& image, size_t index) {
  require(image.pixels != nullptr && image.height >= 1 && image.width >= 1,
          ErrorCode::kInvalidArgument, "image {} has {} x {} pixels{}; it must not be empty", index,
          image.height, image.width, image.pixels == nullptr ? " at a null pointer" : "");
  require(image.channels == 1 || image.channels == 3, ErrorCode::kInvalidArgument,
          "image {} has {} channels; 3 (color) or 1 (gray) are accepted", index, image.channels);
  require(image.order == ChannelOrder::kRgb || image.order == ChannelOrder::kBgr,
          ErrorCode::kInvalidArgument, "image {} has the order {}, which is no ChannelOrder", index,
          static_cast<int>(image.order));
  const int64_t row = int64_t{image.width} * image.channels;
  require(image.row_bytes == 0 || image.row_bytes >= row, ErrorCode::kInvalidArgument,
          "image {} has rows of {} bytes, {} apart; they overlap", index, row, image.row_bytes);
}

void check_tensor(const TensorView& tensor, int channels) {
  require(tensor.data != nullptr && tensor.batch >= 1, ErrorCode::kInvalidArgument,
          "a tensor of {} images{}; it must not be empty", tensor.batch,
          tensor.data == nullptr ? " at a null pointer" : "");
  require(tensor.channels == channels, ErrorCode::kMismatch,
          "the tensor has {} channels, the model takes {}", tensor.channels, channels);
  for (int side : {tensor.height, tensor.width}) {
    require(side >= 1 && side <= 16384, ErrorCode::kInvalidArgument,
            "the tensor has {} x {} pixels, each side must be between 1 and 16384", tensor.height,
            tensor.width);
  }
}

Image copy_of(const ImageView& view) {
  Image image(view.height, view.width, view.channels);
  const ptrdiff_t row = ptrdiff_t{view.width} * view.channels;
  const bool swapped = view.channels == 3 && view.order == ChannelOrder::kBgr;
  for (int y = 0; y < view.height; ++y) {
    const uint8_t* from = view.pixels + y * (view.row_bytes != 0 ? view.row_bytes : row);
    uint8_t* to = image.row(y);
    if (!swapped) {
      std::copy_n(from, row, to);
      continue;
    }
    for (const uint8_t* end = from + row; from != end; from += 3, to += 3) {
      to[0] = from[2], to[1] = from[1], to[2] = from[0];
    }
  }
  return image;
}

Image with_channels(Image image, int channels) {
  if (image.channels == channels) return image;
  return channels == 1 ? to_gray(image) : to_rgb(image);
}

DecodeOptions decode_options(const ReadOptions& options, PixelStyle style) {
  require(options.max_pixels >= 0 && options.max_pixels <= 10'000'000'000,
          ErrorCode::kInvalidArgument, "max_pixels is {}, must be between 0 and 10000000000",
          options.max_pixels);
  require(options.exif == Exif::kApply || options.exif == Exif::kIgnore,
          ErrorCode::kInvalidArgument, "exif is {}, which is none of Exif",
          static_cast<int>(options.exif));
  DecodeOptions result;
  result.exif = options.exif;
  result.style = style;
  return options.max_pixels > 0 ? with_max_pixels(result, options.max_pixels) : result;
}

Image decode_bytes(const void* bytes, std::size_t size, const ReadOptions& options,
                   PixelStyle style) {
  require(bytes != nullptr, ErrorCode::kInvalidArgument,
          "the bytes of the image are a null pointer");
  return decode_image(std::span(static_cast<const std::byte*>(bytes), size), "image",
                      decode_options(options, style));
}

DenseInput resized_to(DenseInput input, int short_side, int long_side) {
  for (const int side : {short_side, long_side}) {
    require(side >= 0 && side <= 16384, ErrorCode::kInvalidArgument,
            "short_side is {} and long_side {}, must be 0 (the model's own) to 16384", short_side,
            long_side);
  }
  if (short_side > 0) input.short_side = short_side;
  if (long_side > 0) input.long_side = long_side;
  return input;
}

void check_channels(int channels) {
  require(channels == 1 || channels == 3, ErrorCode::kUnsupported,
          "the model takes {} channels, images have 1 or 3; give it a tensor", channels);
}

}  // namespace asmlp
