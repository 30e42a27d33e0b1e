#include "asmlp/torch/train/adamw.h"

#include <cmath>

#include "asmlp/core/error.h"

namespace asmlp::train {
namespace {

// Per-element constants of one update.
struct Update {
  float keep;          // 1 - lr * weight decay
  float scale;         // of the gradient
  float b1, b2;        // betas
  float step_size;     // lr / (1 - b1^t)
  float root_v_scale;  // 1 / sqrt(1 - b2^t)
  float eps;
};

void update(float* __restrict p, float* __restrict m, float* __restrict v,
            const float* __restrict gradient, int64_t count, const Update& u) {
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * u.scale;
    m[i] = u.b1 * m[i] + (1 - u.b1) * g;
    v[i] = u.b2 * v[i] + (1 - u.b2) * g * g;
    p[i] = p[i] * u.keep - u.step_size * m[i] / (std::sqrt(v[i]) * u.root_v_scale + u.eps);
  }
}

}  // namespace

bool takes_weight_decay(const std::string& name, int64_t dimensions) {
  return dimensions != 1 && !name.ends_with("bias");
}

AdamW::AdamW(const torch::nn::Module& module, double weight_decay, std::array<double, 2> betas,
             double eps)
    : weight_decay_(weight_decay), betas_(betas), eps_(eps) {
  for (const auto& item : module.named_parameters()) {
    const torch::Tensor& p = item.value();
    require(p.is_contiguous() && p.device().is_cpu() && p.scalar_type() == torch::kFloat,
            ErrorCode::kUnsupported, "parameter {}: AdamW needs contiguous fp32 on the CPU",
            item.key());
    slots_.push_back({item.key(), p, torch::zeros_like(p.detach()), torch::zeros_like(p.detach()),
                      takes_weight_decay(item.key(), p.dim())});
  }
}

double AdamW::gradient_norm() const {
  double total = 0;
  for (const AdamWSlot& slot : slots_) {
    if (!slot.parameter.grad().defined()) continue;
    const torch::Tensor gradient = slot.parameter.grad().contiguous();
    const float* g = gradient.data_ptr<float>();
    const int64_t count = gradient.numel();
    double sums[8] = {};
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
      for (int k = 0; k < 8; ++k) sums[k] += double{g[i + k]} * g[i + k];
    }
    for (; i < count; ++i) sums[0] += double{g[i]} * g[i];
    for (double sum : sums) total += sum;
  }
  return std::sqrt(total);
}

void AdamW::step(double lr, double gradient_scale) {
  ++updates_;
  Update u;
  u.scale = static_cast<float>(gradient_scale);
  u.b1 = static_cast<float>(betas_[0]);
  u.b2 = static_cast<float>(betas_[1]);
  u.step_size = static_cast<float>(lr / (1 - std::pow(betas_[0], double(updates_))));
  u.root_v_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(betas_[1], double(updates_))));
  u.eps = static_cast<float>(eps_);
  for (AdamWSlot& slot : slots_) {
    if (!slot.parameter.grad().defined()) continue;
    const torch::Tensor gradient = slot.parameter.grad().contiguous();
    u.keep = slot.decay ? static_cast<float>(1 - lr * weight_decay_) : 1.0f;
    update(slot.parameter.data_ptr<float>(), slot.m.data_ptr<float>(), slot.v.data_ptr<float>(),
           gradient.data_ptr<float>(), gradient.numel(), u);
  }
  zero_grad();
}

void AdamW::zero_grad() {
  for (AdamWSlot& slot : slots_) slot.parameter.mutable_grad() = torch::Tensor();
}

void update_average(torch::nn::Module& average, const torch::nn::Module& module, double decay) {
  const std::vector<torch::Tensor> to = average.parameters(), from = module.parameters();
  require(to.size() == from.size(), ErrorCode::kMismatch,
          "the averaged model has {} parameters, the model {}", to.size(), from.size());
  const float keep = static_cast<float>(decay), add = static_cast<float>(1 - decay);
  for (size_t i = 0; i < to.size(); ++i) {
    float* a = to[i].data_ptr<float>();
    const float* b = from[i].data_ptr<float>();
    for (int64_t k = 0, n = to[i].numel(); k < n; ++k) a[k] = keep * a[k] + add * b[k];
  }
}

}  // namespace asmlp::train
