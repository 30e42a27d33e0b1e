#include "asmlp/torch/detect/ops/box_coder.h"

namespace asmlp::detect {
namespace {

torch::Tensor row(const std::array<float, 4>& values, const torch::Tensor& like) {
  return torch::tensor({values[0], values[1], values[2], values[3]}).to(like.options());
}

// Centers and sizes.
struct Centered {
  torch::Tensor x, y, width, height;
};

Centered centered(const torch::Tensor& boxes) {
  const auto edge = boxes.unbind(1);
  return {(edge[0] + edge[2]) * 0.5, (edge[1] + edge[3]) * 0.5, edge[2] - edge[0],
          edge[3] - edge[1]};
}

}  // namespace

torch::Tensor encode(const BoxCoder& coder, const torch::Tensor& boxes,
                     const torch::Tensor& targets) {
  check_boxes("encode: boxes", boxes);
  check_boxes("encode: targets", targets);
  check_rows("encode: targets", targets, boxes.size(0));
  const Centered from = centered(widen(boxes)), to = centered(widen(targets));
  const auto offsets =
      torch::stack({(to.x - from.x) / from.width, (to.y - from.y) / from.height,
                    torch::log(to.width / from.width), torch::log(to.height / from.height)},
                   1);
  return (offsets - row(coder.means, offsets)) / row(coder.stds, offsets);
}

torch::Tensor decode(const BoxCoder& coder, const torch::Tensor& boxes, const torch::Tensor& deltas,
                     std::optional<ImageSize> clip) {
  check_boxes("decode: boxes", boxes);
  require(deltas.dim() == 2 && deltas.size(0) == boxes.size(0) && deltas.size(1) % 4 == 0,
          ErrorCode::kInvalidArgument, "decode: deltas are {}, must be {} x 4K", shape_of(deltas),
          boxes.size(0));
  const auto given = widen(deltas);
  const auto offsets =
      given.reshape({deltas.size(0), deltas.size(1) / 4, 4}) * row(coder.stds, given) +
      row(coder.means, given);
  const auto offset = offsets.unbind(2);
  const auto from = centered(widen(boxes).unsqueeze(2));  // N x 1 each
  const auto x = from.x + from.width * offset[0], y = from.y + from.height * offset[1];
  const auto size = [&](const torch::Tensor& length, const torch::Tensor& log_ratio) {
    return length * torch::exp(log_ratio.clamp(-coder.max_log_ratio, coder.max_log_ratio));
  };
  const auto half_width = size(from.width, offset[2]) * 0.5;
  const auto half_height = size(from.height, offset[3]) * 0.5;
  auto x1 = x - half_width, y1 = y - half_height, x2 = x + half_width, y2 = y + half_height;
  if (clip) {
    x1 = x1.clamp(0, clip->width), x2 = x2.clamp(0, clip->width);
    y1 = y1.clamp(0, clip->height), y2 = y2.clamp(0, clip->height);
  }
  return torch::stack({x1, y1, x2, y2}, 2).reshape(deltas.sizes());
}

torch::Tensor of_class(const torch::Tensor& values, const torch::Tensor& classes) {
  require(values.dim() == 2 && values.size(1) % 4 == 0, ErrorCode::kInvalidArgument,
          "of_class: values are {}, must be N x 4K", shape_of(values));
  check_rows("of_class: classes", classes, values.size(0));
  const auto by_class = values.reshape({values.size(0), values.size(1) / 4, 4});
  return by_class.gather(1, classes.view({-1, 1, 1}).expand({-1, 1, 4})).squeeze(1);
}

}  // namespace asmlp::detect
