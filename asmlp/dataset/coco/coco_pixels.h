// The pixels of an annotated image.
#pragma once

#include <filesystem>

#include "asmlp/dataset/coco/coco.h"
#include "asmlp/image/decode.h"

namespace asmlp {

// decode_labeled_image of the file of `image`: not turned, and `stored` becomes true, where the
// size in the annotations is that of the stored pixels. Error(kMismatch) when it has another size
// than the annotations say; the errors of decode_image.
Image read_coco_image(const std::filesystem::path& path, const CocoImage& image,
                      const DecodeOptions& decoding, bool& stored);

}  // namespace asmlp
