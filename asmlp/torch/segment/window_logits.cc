#include "asmlp/torch/segment/window_logits.h"

#include <algorithm>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/image/resize.h"
#include "asmlp/torch/data/dense_input.h"

namespace asmlp::segment {

WindowLogits::WindowLogits(SegmentorNetImpl& net, Image picture, const DenseInput& input,
                           const std::optional<SlidingWindow>& window)
    : net_(&net), picture_(std::move(picture)), input_(input) {
  require(!net.is_training(), ErrorCode::kInvalidArgument,
          "the segmentor is in training mode; call eval() first");
  if (window) validate(*window);
  tops_ = windows_of(height(), window);
  lefts_ = windows_of(width(), window);
}

WindowLogits::Window WindowLogits::run(Rows rows, Rows columns) {
  const torch::NoGradGuard no_grad;
  const Image pixels = crop(
      picture_, {int(rows.first), int(columns.first), int(rows.count()), int(columns.count())});
  const torch::Tensor image = data::normalized(pixels, input_);
  const auto device = net_->parameters().front().device();
  const torch::Tensor logits = net_->forward(image.unsqueeze(0).to(device)).decode;
  return {rows, columns, image.size(1), image.size(2),
          logits.squeeze(0).to(torch::kCPU, torch::kFloat32).contiguous()};
}

// The rows `wanted` of the picture, all of the window's.
torch::Tensor WindowLogits::part(const Window& window, Rows wanted) const {
  const Rows inside{wanted.first - window.rows.first, wanted.end - window.rows.first};
  const BandResize resize{window.logits.size(1), window.padded_height, window.padded_width};
  return resized_rows(window.logits, 0, resize, inside).narrow(2, 0, window.columns.count());
}

torch::Tensor WindowLogits::rows(Rows wanted) {
  require(wanted.first >= 0 && wanted.count() >= 1 && wanted.end <= height(),
          ErrorCode::kInvalidArgument, "rows {}..{}: must be within 0..{}", wanted.first,
          wanted.end - 1, height() - 1);
  require(next_top_ == 0 || wanted.first >= windows_.front().rows.first,
          ErrorCode::kInvalidArgument, "rows from {} on have passed", wanted.first);
  for (; next_top_ < tops_.size() && tops_[next_top_].first < wanted.end; ++next_top_) {
    for (const Rows columns : lefts_) windows_.push_back(run(tops_[next_top_], columns));
  }
  while (windows_.front().rows.end <= wanted.first) windows_.pop_front();
  if (tops_.size() == 1 && lefts_.size() == 1) return part(windows_.front(), wanted);

  const auto sum = torch::zeros({net_->config().num_classes, wanted.count(), width()});
  const auto seen = torch::zeros({1, wanted.count(), width()});
  for (const Window& window : windows_) {
    const Rows common{std::max(wanted.first, window.rows.first),
                      std::min(wanted.end, window.rows.end)};
    if (common.count() < 1) continue;
    const auto place = [&](const torch::Tensor& map) {
      return map.narrow(1, common.first - wanted.first, common.count())
          .narrow(2, window.columns.first, window.columns.count());
    };
    place(sum).add_(part(window, common));
    place(seen).add_(1);
  }
  return sum.div_(seen);
}

}  // namespace asmlp::segment
