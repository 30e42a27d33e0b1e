#include "asmlp/dataset/coco/coco_pixels.h"

#include "asmlp/core/error.h"

namespace asmlp {

Image read_coco_image(const std::filesystem::path& path, const CocoImage& image,
                      const DecodeOptions& decoding, bool& stored) {
  Image decoded = decode_labeled_image(path, image.height, image.width, decoding, &stored);
  require(decoded.height == image.height && decoded.width == image.width, ErrorCode::kMismatch,
          "{}: is {} x {}, the annotations say {} x {} (height x width); are they of this folder?",
          path.string(), decoded.height, decoded.width, image.height, image.width);
  return decoded;
}

}  // namespace asmlp
