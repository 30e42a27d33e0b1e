#include "asmlp/model/baselines/checks.h"

namespace asmlp {

void check_image_size(int64_t h, int64_t w, const ModelSpec& spec, const char* model) {
  const int size = spec.preprocessing.size;
  require(
      h == size && w == size, ErrorCode::kInvalidArgument,
      "{}: the image is {} x {}, but the weights over the positions fit {} x {} only; build the "
      "model for that size (img_size)",
      model, h, w, size, size);
}

void check_patches(int patch_size, const ModelSpec& spec) {
  check_range("patch_size", patch_size, 1, 64);
  const int size = spec.preprocessing.size;
  require(size % patch_size == 0, ErrorCode::kInvalidArgument,
          "config: patch_size is {}, must divide the image size {}", patch_size, size);
  check_range("patches of an image ((img_size / patch_size)^2)",
              double(size / patch_size) * (size / patch_size), 1, 1 << 15);
}

}  // namespace asmlp
