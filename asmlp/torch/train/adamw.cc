#include "asmlp/torch/train/adamw.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "asmlp/core/error.h"

namespace asmlp::train {
namespace {

constexpr int64_t kPart = 1 << 16;  // elements that one thread takes at a time

// In one pass over memory, the constants in fp32.
void loop_update(AdamWSlot& slot, const AdamWUpdate& update) {
  const torch::Tensor gradients = slot.parameter.grad().contiguous();
  const float* __restrict gradient = gradients.data_ptr<float>();
  float* __restrict p = slot.parameter.data_ptr<float>();
  float* __restrict m = slot.m.data_ptr<float>();
  float* __restrict v = slot.v.data_ptr<float>();
  const auto keep = static_cast<float>(update.keep), scale = static_cast<float>(update.scale);
  const auto b1 = static_cast<float>(update.b1), b2 = static_cast<float>(update.b2);
  const auto step_size = static_cast<float>(update.step_size);
  const auto root_v_scale = static_cast<float>(update.root_v_scale);
  const auto eps = static_cast<float>(update.eps);
  at::parallel_for(0, gradients.numel(), kPart, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float g = gradient[i] * scale;
      m[i] = b1 * m[i] + (1 - b1) * g;
      v[i] = b2 * v[i] + (1 - b2) * g * g;
      p[i] = p[i] * keep - step_size * m[i] / (std::sqrt(v[i]) * root_v_scale + eps);
    }
  });
}

double squares(const float* g, int64_t count) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int k = 0; k < 8; ++k) sums[k] += double{g[i + k]} * g[i + k];
  }
  for (; i < count; ++i) sums[0] += double{g[i]} * g[i];
  double total = 0;
  for (double sum : sums) total += sum;
  return total;
}

}  // namespace

bool takes_weight_decay(const std::string& name, int64_t dimensions, NoDecay rule) {
  if (rule == NoDecay::kNorms) return name.find("norm") == std::string::npos;
  return dimensions != 1 && !name.ends_with("bias");
}

AdamW::AdamW(const torch::nn::Module& module, const OptimizerOptions& options) : options_(options) {
  for (const auto& item : module.named_parameters()) {
    const torch::Tensor& p = item.value();
    require(p.is_contiguous() && p.scalar_type() == torch::kFloat, ErrorCode::kUnsupported,
            "parameter {}: AdamW needs contiguous fp32", item.key());
    slots_.push_back({item.key(), p, torch::zeros_like(p.detach()), torch::zeros_like(p.detach()),
                      takes_weight_decay(item.key(), p.dim(), options.no_decay)});
  }
}

double AdamW::gradient_norm() const {
  double total = 0;
  std::vector<torch::Tensor> elsewhere;  // sums of squares on a GPU, fetched at once
  for (const AdamWSlot& slot : slots_) {
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
        parts[part] = squares(g + part * kPart, std::min(kPart, count - part * kPart));
      }
    });
    for (double part : parts) total += part;
  }
  if (!elsewhere.empty()) total += torch::stack(elsewhere).sum().item<double>();
  return std::sqrt(total);
}

void eager_update(AdamWSlot& slot, const AdamWUpdate& u) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor g = slot.parameter.grad() * u.scale;
  slot.m.mul_(u.b1).add_(g, 1 - u.b1);
  slot.v.mul_(u.b2).addcmul_(g, g, 1 - u.b2);
  slot.parameter.mul_(u.keep).addcdiv_(slot.m, slot.v.sqrt().mul_(u.root_v_scale).add_(u.eps),
                                       -u.step_size);
}

void AdamW::step(double lr, double gradient_scale) {
  ++updates_;
  AdamWUpdate u{};
  u.scale = gradient_scale;
  u.b1 = options_.betas[0];
  u.b2 = options_.betas[1];
  u.step_size = lr / (1 - std::pow(u.b1, double(updates_)));
  u.root_v_scale = 1 / std::sqrt(1 - std::pow(u.b2, double(updates_)));
  u.eps = options_.eps;
  for (AdamWSlot& slot : slots_) {
    if (!slot.parameter.grad().defined()) continue;
    u.keep = slot.decay ? 1 - lr * options_.weight_decay : 1.0;
    slot.parameter.device().is_cpu() ? loop_update(slot, u) : eager_update(slot, u);
  }
}

void AdamW::zero_grad(bool keep_memory) {
  for (AdamWSlot& slot : slots_) {
    torch::Tensor& gradient = slot.parameter.mutable_grad();
    if (!keep_memory) {
      gradient = torch::Tensor();
    } else if (gradient.defined()) {
      gradient.zero_();
    }
  }
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
    if (!to[i].device().is_cpu()) {
      torch::Tensor(to[i]).mul_(keep).add_(from[i], add);
      continue;
    }
    float* a = to[i].data_ptr<float>();
    const float* b = from[i].data_ptr<float>();
    for (int64_t k = 0, n = to[i].numel(); k < n; ++k) a[k] = keep * a[k] + add * b[k];
  }
}

}  // namespace asmlp::train
