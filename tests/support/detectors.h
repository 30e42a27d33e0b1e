// A detector for tests, small enough for a CPU.
#pragma once

#include "asmlp/torch/detect/model/detector_net.h"
#include "tests/support/small_specs.h"

namespace asmlp::detect {

// Random weights so large that scores, boxes and masks differ from region to region, in evaluation
// mode; from LibTorch's generator.
inline DetectorNet lively_net(const DetectorConfig& config) {
  const torch::NoGradGuard no_grad;
  DetectorNet net(config);
  for (const auto& item : net->named_parameters()) {
    if (item.value().dim() == 1 || item.key().find("backbone") == 0) continue;
    double spread = 1.4;
    // Probabilities shall not be all 0 and 1, and boxes shall move, but not all of them to the
    // edge.
    if (item.key().ends_with("cls.weight")) spread = 0.5;
    if (item.key().ends_with("reg.weight")) spread = item.key().find("rpn") == 0 ? 0.1 : 0.5;
    item.value().normal_(0, spread / std::sqrt(double(item.value()[0].numel())));
  }
  for (const auto& item : net->named_buffers()) {
    if (item.key().ends_with("running_var")) item.value().uniform_(0.5, 2);
    if (item.key().ends_with("running_mean")) item.value().normal_(0, 0.2);
  }
  net->eval();
  return net;
}

}  // namespace asmlp::detect
