#include "asmlp/torch/segment/pixel_loss.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/torch/segment/pixel_loss_kernel.h"

namespace asmlp::segment {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kRows = 64;  // of labels, one task

// A value whose gradient with respect to `x` is at hand.
class KnownGradient : public torch::autograd::Function<KnownGradient> {
 public:
  static torch::Tensor forward(AutogradContext* ctx, const torch::Tensor& /*x*/,
                               const torch::Tensor& value, const torch::Tensor& gradient) {
    ctx->save_for_backward({gradient});
    return value;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& d_outputs) {
    require(!at::GradMode::is_enabled(), ErrorCode::kUnsupported,
            "gradients of gradients do not go through the loss of a segmentor");
    return {ctx->get_saved_variables()[0] * d_outputs[0], {}, {}};
  }
};

// Rows [begin, end) of the labels of one image, and the gradient of the logits' rows from `first`.
struct Task {
  int64_t image, begin, end;
  PixelSums sums{};
  int64_t first = 0;
  torch::Tensor d_logits{};
};

}  // namespace

PixelLoss pixel_loss(const torch::Tensor& logits, const torch::Tensor& labels,
                     const torch::Tensor& weights, int ignored) {
  const int64_t n = logits.size(0), classes = logits.size(1);
  const int64_t height = labels.size(1), width = labels.size(2);
  const Taps rows(logits.size(2), height), columns(logits.size(3), width);
  const auto in = logits.detach().contiguous(), targets = labels.contiguous();
  const auto factors = weights.defined() ? weights.contiguous() : torch::Tensor();
  const bool differentiate = torch::GradMode::is_enabled() && logits.requires_grad();

  std::vector<Task> tasks;
  for (int64_t image = 0; image < n; ++image) {
    for (int64_t y = 0; y < height; y += kRows) {
      tasks.push_back({image, y, std::min(height, y + kRows)});
    }
  }
  at::parallel_for(0, std::ssize(tasks), 1, [&](int64_t from, int64_t to) {
    const torch::NoGradGuard no_grad;
    for (int64_t i = from; i < to; ++i) {
      Task& task = tasks[static_cast<size_t>(i)];
      const PixelLossImage image{in[task.image].data_ptr<float>(),
                                 classes,
                                 in.size(2),
                                 in.size(3),
                                 targets[task.image].data_ptr<uint8_t>(),
                                 rows,
                                 columns,
                                 factors.defined() ? factors.data_ptr<float>() : nullptr,
                                 ignored};
      task.first = rows.low[static_cast<size_t>(task.begin)];
      if (differentiate) {
        const int64_t last = rows.high[static_cast<size_t>(task.end - 1)];
        task.d_logits = torch::zeros({classes, last + 1 - task.first, in.size(3)}, in.options());
      }
      task.sums = pixel_loss_of_rows(image, task.begin, task.end,
                                     differentiate ? task.d_logits.data_ptr<float>() : nullptr);
    }
  });

  PixelLoss result;
  double sum = 0;
  auto gradient = differentiate ? torch::zeros_like(in) : torch::Tensor();
  for (Task& task : tasks) {
    require(task.sums.wrong < 0, ErrorCode::kInvalidArgument,
            "label {}: neither one of the {} classes nor {} (no class)", task.sums.wrong, classes,
            ignored);
    sum += task.sums.loss;
    result.right += task.sums.right;
    result.counted += task.sums.counted;
    // Neighbors share a row of the logits.
    if (differentiate) {
      gradient[task.image].narrow(1, task.first, task.d_logits.size(1)).add_(task.d_logits);
    }
  }
  result.sum = torch::full({}, sum, in.options());
  if (differentiate) result.sum = KnownGradient::apply(logits, result.sum, gradient);
  return result;
}

}  // namespace asmlp::segment
