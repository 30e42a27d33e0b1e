#include "asmlp/torch/segment/predict.h"

#include <ATen/Parallel.h>

#include "asmlp/core/error.h"

namespace asmlp::segment {
namespace {

void run_on_torch_threads(int64_t tasks, const std::function<void(int64_t task)>& body) {
  at::parallel_for(0, tasks, 1, [&](int64_t first, int64_t end) {
    for (int64_t task = first; task < end; ++task) body(task);
  });
}

}  // namespace

Image predict(SegmentorNetImpl& net, const Image& picture, const DenseInput& input,
              const PredictOptions& options) {
  require(!net.is_training(), ErrorCode::kInvalidArgument,
          "the segmentor is in training mode; call eval() first");
  const torch::NoGradGuard no_grad;
  const auto device = net.parameters().front().device();
  torch::Tensor map;  // height x width x classes
  const auto network = [&](std::span<const float> planes, int height, int width) {
    const auto image = torch::from_blob(const_cast<float*>(planes.data()),
                                        {1, picture.channels, height, width}, torch::kFloat32);
    map = net.forward(image.to(device)).decode.squeeze(0).to(torch::kCPU, torch::kFloat32);
    map = map.permute({1, 2, 0}).contiguous();
    return LogitView{map.data_ptr<float>(), static_cast<int>(map.size(0)),
                     static_cast<int>(map.size(1)), static_cast<int>(map.size(2)), map.size(2)};
  };
  return predict(picture, input, static_cast<int>(net.config().num_classes), network, options,
                 run_on_torch_threads);
}

}  // namespace asmlp::segment
