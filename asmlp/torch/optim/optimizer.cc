#include "asmlp/torch/optim/optimizer.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/schema/fields.h"
#include "asmlp/torch/optim/adamw.h"
#include "asmlp/torch/optim/muon.h"
#include "asmlp/torch/optim/param_groups.h"
#include "asmlp/torch/optim/sgd.h"
#include "asmlp/torch/optim/update_kernels.h"

namespace asmlp::train {
namespace {

constexpr int64_t kPart = 1 << 16;  // elements that one thread takes at a time

std::vector<Moment> moments_of(const std::string& name, const torch::Tensor& parameter,
                               const OptimizerOptions& options) {
  if (!parameter.requires_grad()) return {};
  const auto zeros = [&] { return torch::zeros_like(parameter.detach()); };
  const bool muon = options.opt == Opt::kMuon && takes_muon(name, parameter.dim());
  if (muon || options.opt == Opt::kSgd) return {{"momentum", zeros()}};
  return {{"m", zeros()}, {"v", zeros()}};
}

}  // namespace

void validate(const OptimizerOptions& options) {
  check_ranges(options, "");
  require(!options.nesterov || options.momentum > 0, ErrorCode::kInvalidArgument,
          "nesterov needs a momentum above 0; leave it out, or set momentum");
}

torch::Tensor& OptimizerSlot::moment(const std::string& kind) {
  return std::ranges::find(moments, kind, &Moment::kind)->values;
}

bool takes_weight_decay(const std::string& name, int64_t dimensions, NoDecay rule) {
  if (rule == NoDecay::kNorms) return name.find("norm") == std::string::npos;
  return dimensions != 1 && !name.ends_with("bias");
}

Optimizer::Optimizer(const torch::nn::Module& module, const OptimizerOptions& options)
    : options_(options) {
  const std::map<std::string, double> scales = layer_scales(module, options.layer_decay);
  for (const auto& item : module.named_parameters()) {
    const torch::Tensor& p = item.value();
    require(p.is_contiguous() && p.scalar_type() == torch::kFloat, ErrorCode::kUnsupported,
            "parameter {}: the optimizer needs contiguous fp32", item.key());
    slots_.push_back({item.key(), p, moments_of(item.key(), p, options),
                      takes_weight_decay(item.key(), p.dim(), options.no_decay),
                      scales.at(item.key())});
  }
}

double Optimizer::gradient_norm() const {
  double total = 0;
  std::vector<torch::Tensor> elsewhere;  // sums of squares on a GPU, fetched at once
  for (const OptimizerSlot& slot : slots_) {
    if (!slot.parameter.grad().defined()) continue;
    if (!slot.parameter.device().is_cpu()) {
      elsewhere.push_back(slot.parameter.grad().to(torch::kDouble).square().sum());
      continue;
    }
    const torch::Tensor gradient = slot.parameter.grad().contiguous();
    const float* g = gradient.data_ptr<float>();
    const int64_t count = gradient.numel();
    // Parts of a fixed size, added in their order: the same bits for any number of threads.
    std::vector<double> parts((count + kPart - 1) / kPart);
    at::parallel_for(0, static_cast<int64_t>(parts.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        parts[part] = sum_of_squares(g + part * kPart, std::min(kPart, count - part * kPart));
      }
    });
    for (double part : parts) total += part;
  }
  if (!elsewhere.empty()) total += torch::stack(elsewhere).sum().item<double>();
  return std::sqrt(total);
}

void Optimizer::step_adamw(OptimizerSlot& slot, double lr, double gradient_scale) {
  AdamWUpdate u{};
  u.scale = gradient_scale;
  u.b1 = options_.betas[0];
  u.b2 = options_.betas[1];
  u.root_v_scale = 1 / std::sqrt(1 - std::pow(u.b2, double(updates_)));
  u.eps = options_.eps;
  u.step_size = lr / (1 - std::pow(u.b1, double(updates_)));
  u.keep = slot.decay ? 1 - lr * options_.weight_decay : 1.0;
  update_adamw(slot.parameter, slot.moments[0].values, slot.moments[1].values, u);
}

void Optimizer::step_sgd(OptimizerSlot& slot, double lr, double gradient_scale) {
  const double decay = slot.decay ? options_.weight_decay : 0.0;
  update_sgd(slot.parameter, slot.moments[0].values,
             {lr, gradient_scale, decay, options_.momentum, options_.nesterov});
}

void Optimizer::step_muon(OptimizerSlot& slot, double lr, double gradient_scale) {
  const double decay = slot.decay ? options_.weight_decay : 0.0;
  update_muon(slot.parameter, slot.moments[0].values,
              {lr, gradient_scale, decay, options_.momentum});
}

void Optimizer::step(double lr, double gradient_scale) {
  ++updates_;
  for (OptimizerSlot& slot : slots_) {
    if (slot.moments.empty() || !slot.parameter.grad().defined()) continue;
    const double own = lr * slot.lr_scale;
    if (options_.opt == Opt::kSgd) {
      step_sgd(slot, own, gradient_scale);
    } else if (slot.moments.size() == 1) {  // of the two kinds under muon
      step_muon(slot, own, gradient_scale);
    } else {
      step_adamw(slot, own, gradient_scale);
    }
  }
}

void Optimizer::zero_grad() {
  for (OptimizerSlot& slot : slots_) slot.parameter.mutable_grad() = torch::Tensor();
}

void update_average(torch::nn::Module& average, const torch::nn::Module& module, double decay) {
  const std::vector<torch::Tensor> to = average.parameters(), from = module.parameters();
  require(to.size() == from.size(), ErrorCode::kMismatch,
          "the averaged model has {} parameters, the model {}", to.size(), from.size());
  const torch::NoGradGuard no_grad;
  const std::vector<torch::Tensor> copies = average.buffers(), originals = module.buffers();
  for (size_t i = 0; i < copies.size(); ++i) torch::Tensor(copies[i]).copy_(originals.at(i));
  const float keep = static_cast<float>(decay), add = static_cast<float>(1 - decay);
  for (size_t i = 0; i < to.size(); ++i) {
    // The average of equal values may round: a frozen parameter would drift.
    if (decay > 0 && !from[i].requires_grad()) continue;
    if (!to[i].device().is_cpu()) {
      torch::Tensor(to[i]).mul_(keep).add_(from[i], add);
      continue;
    }
    float* a = to[i].data_ptr<float>();
    const float* b = from[i].data_ptr<float>();
    at::parallel_for(0, to[i].numel(), kPart, [=](int64_t begin, int64_t end) {
      average_range(b + begin, a + begin, end - begin, keep, add);
    });
  }
}

}  // namespace asmlp::train
