// The region proposal network's convolutions (Ren et al., NeurIPS 2015), the same for every level.
#pragma once

#include <torch/torch.h>

#include <vector>

namespace asmlp::detect {

// Per pyramid level, finest first.
struct RpnOutput {
  std::vector<torch::Tensor> logits;  // N x anchors x h x w: object or not
  std::vector<torch::Tensor> deltas;  // N x 4 anchors x h x w: channel 4 a + {dx, dy, dw, dh}
};

// Names rpn_conv (3 x 3, ReLU), rpn_cls, rpn_reg (1 x 1); normal with std 0.01, biases 0.
class RpnHeadImpl : public torch::nn::Module {
 public:
  // `anchors` per feature cell.
  RpnHeadImpl(int in_channels, int channels, int anchors);
  RpnOutput forward(const std::vector<torch::Tensor>& pyramid);

 private:
  torch::nn::Conv2d rpn_conv_, rpn_cls_, rpn_reg_;
};
TORCH_MODULE(RpnHead);

}  // namespace asmlp::detect
