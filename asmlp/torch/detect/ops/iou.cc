#include "asmlp/torch/detect/ops/iou.h"

#include <algorithm>

#include "asmlp/torch/detect/ops/boxes.h"

namespace asmlp::detect {
namespace {

constexpr double kLeastArea = 1e-6;

// Pairs of a block: a temporary of this many numbers is 1 MB in fp32, a few of them fill an L2 or
// L3 cache.
constexpr int64_t kBlockPairs = 1 << 18;

torch::Tensor area(const std::vector<torch::Tensor>& edge) {
  return (edge[2] - edge[0]) * (edge[3] - edge[1]);
}

}  // namespace

torch::Tensor pairwise_iou(const torch::Tensor& a, const torch::Tensor& b) {
  const torch::NoGradGuard no_grad;
  check_boxes("pairwise_iou: the first boxes", a);
  check_boxes("pairwise_iou: the second boxes", b);
  const auto rows = widen(a).unsqueeze(2).unbind(1);  // 4 times N x 1
  const auto columns = widen(b).t().contiguous();     // 4 x M
  const auto row_area = area(rows);
  auto result = torch::empty({a.size(0), b.size(0)}, columns.options());
  const int64_t step = std::max<int64_t>(1, kBlockPairs / std::max<int64_t>(1, a.size(0)));
  for (int64_t begin = 0; begin < b.size(0); begin += step) {
    const int64_t end = std::min(begin + step, b.size(0));
    const auto column = columns.slice(1, begin, end).unbind(0);
    auto shared = torch::minimum(rows[2], column[2]);
    shared.sub_(torch::maximum(rows[0], column[0])).clamp_min_(0);
    auto height = torch::minimum(rows[3], column[3]);
    height.sub_(torch::maximum(rows[1], column[1])).clamp_min_(0);
    shared.mul_(height);
    auto joint = row_area + area(column);
    joint.sub_(shared).clamp_min_(kLeastArea);
    auto block = result.slice(1, begin, end);
    at::div_out(block, shared, joint);
  }
  return result;
}

torch::Tensor generalized_iou(const torch::Tensor& a, const torch::Tensor& b) {
  check_boxes("generalized_iou: the first boxes", a);
  check_boxes("generalized_iou: the second boxes", b);
  check_rows("generalized_iou: the second boxes", b, a.size(0));
  const auto p = widen(a).unbind(1), q = widen(b).unbind(1);
  const auto shared = (torch::minimum(p[2], q[2]) - torch::maximum(p[0], q[0])).clamp_min(0) *
                      (torch::minimum(p[3], q[3]) - torch::maximum(p[1], q[1])).clamp_min(0);
  const auto joint = (area(p) + area(q) - shared).clamp_min(kLeastArea);
  const auto around = ((torch::maximum(p[2], q[2]) - torch::minimum(p[0], q[0])).clamp_min(0) *
                       (torch::maximum(p[3], q[3]) - torch::minimum(p[1], q[1])).clamp_min(0))
                          .clamp_min(kLeastArea);
  return shared / joint - (around - joint) / around;
}

}  // namespace asmlp::detect
