#include "asmlp/torch/detect/roi/mask_target.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "asmlp/detection/roi_kernels.h"
#include "asmlp/torch/detect/ops/boxes.h"

namespace asmlp::detect {

torch::Tensor mask_targets(const torch::Tensor& masks, const torch::Tensor& boxes,
                           const torch::Tensor& gt, int64_t size) {
  const torch::NoGradGuard no_grad;
  require(masks.dim() == 3 && masks.scalar_type() == torch::kUInt8, ErrorCode::kInvalidArgument,
          "mask_targets: masks are {}, must be G x H x W of type uint8", shape_of(masks));
  check_boxes("mask_targets: boxes", boxes);
  check_rows("mask_targets: indices of ground truths", gt, boxes.size(0));
  require(size > 0, ErrorCode::kInvalidArgument, "mask_targets: size is {}, must be positive",
          size);
  const auto bitmaps = masks.cpu().contiguous();
  const auto values = boxes.to(torch::kCPU, torch::kFloat).contiguous();
  const auto owners = gt.to(torch::kCPU, torch::kInt64).contiguous();
  const int64_t height = masks.size(1), width = masks.size(2);
  const uint8_t* bitmap = bitmaps.data_ptr<uint8_t>();
  const float* value = values.data_ptr<float>();
  const int64_t* owner = owners.data_ptr<int64_t>();
  auto targets = torch::empty({boxes.size(0), size, size}, values.options());
  float* target = targets.data_ptr<float>();
  at::parallel_for(0, boxes.size(0), 1, [&](int64_t begin, int64_t end) {
    std::vector<float> line;
    RoiSamples<float> samples;
    for (int64_t i = begin; i < end; ++i) {
      require(owner[i] >= 0 && owner[i] < masks.size(0), ErrorCode::kInvalidArgument,
              "mask_targets: box {} belongs to ground truth {} of {}", i, owner[i], masks.size(0));
      float box[4];
      for (int k = 0; k < 4; ++k) {
        box[k] = std::clamp(value[4 * i + k], 0.0f, static_cast<float>(k % 2 ? height : width));
      }
      sample_roi(box, 1.0f, {size, size, 0}, height, width, samples);
      float* out = target + i * size * size;
      pool_plane(bitmap + owner[i] * height * width, width, samples, line, out);
      for (int64_t k = 0; k < size * size; ++k) out[k] = out[k] >= 0.5f ? 1.0f : 0.0f;
    }
  });
  return targets.to(boxes.device());
}

}  // namespace asmlp::detect
