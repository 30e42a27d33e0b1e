// A segmentor of few weights, for tests.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include "asmlp/torch/segment/segmentor_net.h"
#include "tests/support/small_specs.h"

namespace asmlp::segment {

// The same weights every time, with batch norms that matter, in evaluation mode. The last
// convolution is set so that every class has logits of mean 0 and deviation 1 on a picture of
// noise: all of them are seen.
inline SegmentorNet small_segmentor(int classes = 5) {
  const SegmentorConfig config = small_segmentor_config(classes);
  SegmentorNet net(config);
  net->eval();
  const torch::NoGradGuard no_grad;
  // Not LibTorch's default generator: tests make networks in several threads at once.
  auto generator = at::detail::createCPUGenerator(3);
  for (auto& item : net->named_parameters()) {
    const bool norm = item.value().dim() == 1 && item.key().ends_with(".weight");
    item.value().normal_(norm ? 1 : 0, 0.3, generator);
  }
  for (auto& item : net->named_buffers()) {
    if (item.key().ends_with("running_mean")) item.value().normal_(0, 0.3, generator);
    if (item.key().ends_with("running_var")) item.value().uniform_(0.5, 1.5, generator);
  }
  const auto logits = net(torch::randn({1, 3, 64, 96}, generator)).decode;
  const auto [variance, mean] = torch::var_mean(logits, {0, 2, 3}, /*unbiased=*/false);
  auto parameters = net->named_parameters();
  auto& weight = parameters["decode_head.conv_seg.weight"];
  auto& bias = parameters["decode_head.conv_seg.bias"];
  const auto deviation = variance.sqrt();
  weight.div_(deviation.view({-1, 1, 1, 1}));
  bias.sub_(mean).div_(deviation);
  return net;
}

}  // namespace asmlp::segment
