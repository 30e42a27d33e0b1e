// AS-MLP as eager ATen operations, one by one as the authors wrote it: what the fused operators
// are measured against (`asmlp bench --train`, `--task detect`) and, gradient by gradient, tested
// against. Nothing here is used for training.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/nn/backbone.h"

namespace asmlp::nn {

// The same network on the same parameters: gradients of either arrive in the same tensors. Feature
// maps are N x C x H x W throughout; the shift is pad, chunk, roll, cat and narrow, projections are
// 1 x 1 convolutions, norms at::group_norm. Drop path draws its random numbers as the module does,
// so that both compute the same after the same torch::manual_seed.
class EagerAsMlp {
 public:
  explicit EagerAsMlp(const AsMlp& model);
  explicit EagerAsMlp(const Backbone& backbone);

  // What model->forward(images) computes, in the memory format of `images` (contiguous or
  // channels-last). LibTorch's error where ATen has no such padding (reflections wider than the
  // map).
  torch::Tensor forward(const torch::Tensor& images) const;
  // Likewise what backbone->forward(images) computes.
  std::vector<torch::Tensor> maps(const torch::Tensor& images) const;

 private:
  const torch::Tensor& parameter(const std::string& name) const;
  torch::Tensor convolution(const torch::Tensor& x, const std::string& name, int64_t stride = 1,
                            int64_t padding = 0) const;
  torch::Tensor norm(const torch::Tensor& x, const std::string& name) const;
  torch::Tensor shift(const torch::Tensor& x, int64_t axis, int positions) const;
  torch::Tensor axial_shift(torch::Tensor x, const std::string& name) const;
  torch::Tensor block(torch::Tensor x, const std::string& name, double rate) const;
  torch::Tensor stem(torch::Tensor x) const;
  torch::Tensor merging(torch::Tensor x, const std::string& name) const;
  // Hands what the blocks of each stage give to `seen`; the last one's is returned.
  torch::Tensor run_stages(const torch::Tensor& images,
                           const std::function<void(int, const torch::Tensor&)>& seen) const;

  Config config_;
  std::shared_ptr<torch::nn::Module> model_;  // says whether it is trained
  std::map<std::string, torch::Tensor> parameters_;
};

}  // namespace asmlp::nn
