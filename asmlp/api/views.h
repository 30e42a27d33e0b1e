// The caller's pixels as images of the library.
#pragma once

#include <cstddef>
#include <vector>

#include "asmlp/asmlp.hpp"
#include "asmlp/image/decode.h"
#include "asmlp/image/image.h"
#include "asmlp/model/dense_spec.h"

namespace asmlp {

// Error(kInvalidArgument) that names image `index` unless it has pixels, and rows that do not
// overlap.
void check_image(const ImageView& image, size_t index);

// Error(kMismatch / kInvalidArgument) unless the tensor has pixels and the model's `channels`.
void check_tensor(const TensorView& tensor, int channels);

// The pixels of a checked view, RGB or gray.
Image copy_of(const ImageView& view);
// The same pixels with `channels`, 1 or 3.
Image with_channels(Image image, int channels);

// Error(kInvalidArgument) for options out of range. Detectors and segmentors want OpenCV's pixels.
DecodeOptions decode_options(const ReadOptions& options, PixelStyle style);

// The picture that the bytes of a file hold. Error(kInvalidArgument) also for a null pointer.
Image decode_bytes(const void* bytes, std::size_t size, const ReadOptions& options,
                   PixelStyle style);

// The input with other sides where they are not 0. Error(kInvalidArgument) for a side outside
// 1..16384.
DenseInput resized_to(DenseInput input, int short_side, int long_side);

// Error(kUnsupported) unless `channels` are those of an image, 1 or 3.
void check_channels(int channels);

}  // namespace asmlp
