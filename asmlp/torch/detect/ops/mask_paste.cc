#include "asmlp/torch/detect/ops/mask_paste.h"

#include "asmlp/torch/detect/ops/spans.h"

namespace asmlp::detect {

std::vector<MaskRle> paste_masks(const torch::Tensor& probabilities, const torch::Tensor& boxes,
                                 ImageSize image, double threshold) {
  check_boxes("paste_masks: boxes", boxes);
  require(probabilities.dim() == 3 && probabilities.size(0) == boxes.size(0) &&
              probabilities.size(1) > 0 && probabilities.size(2) > 0,
          ErrorCode::kInvalidArgument, "paste_masks: masks are {}, must be {} x h x w",
          shape_of(probabilities), boxes.size(0));
  const auto masks = on_cpu(probabilities), dense = on_cpu(boxes);
  const auto all = boxes_in(dense);
  const int64_t height = masks.size(1), width = masks.size(2);
  std::vector<MaskRle> pasted(all.size());
  at::parallel_for(0, boxes.size(0), 1, [&](int64_t begin, int64_t end) {
    PasteMemory memory;
    for (int64_t i = begin; i < end; ++i) {
      pasted[static_cast<size_t>(i)] =
          paste_mask(masks.data_ptr<float>() + i * height * width, static_cast<int>(height),
                     static_cast<int>(width), all[static_cast<size_t>(i)], image,
                     static_cast<float>(threshold), memory);
    }
  });
  return pasted;
}

}  // namespace asmlp::detect
