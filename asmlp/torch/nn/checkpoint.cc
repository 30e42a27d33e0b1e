#include "asmlp/torch/nn/checkpoint.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

#include <memory>
#include <mutex>

#include "asmlp/core/error.h"
#include "asmlp/torch/ops/autocast.h"

namespace asmlp::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Generator generator_of(const torch::Device& device) {
  return device.is_cpu() ? at::detail::getDefaultCPUGenerator()
                         : at::globalContext().defaultGenerator(device);
}

torch::Tensor generator_state(const torch::Device& device) {
  at::Generator generator = generator_of(device);
  const std::lock_guard lock(generator.mutex());
  return generator.get_state();
}

void set_generator_state(const torch::Device& device, const torch::Tensor& state) {
  at::Generator generator = generator_of(device);
  const std::lock_guard lock(generator.mutex());
  generator.set_state(state);
}

// What the second run of a block needs.
struct Recipe : torch::CustomClassHolder {
  std::function<torch::Tensor(const torch::Tensor&)> block;
  torch::Tensor random;  // state of the device's generator before the first run
  torch::ScalarType type;
};

class Checkpoint : public torch::autograd::Function<Checkpoint> {
 public:
  // `inputs` are x and then the parameters.
  static torch::Tensor forward(AutogradContext* ctx,
                               const std::function<torch::Tensor(const torch::Tensor&)>& block,
                               at::TensorList inputs) {
    const torch::Tensor& x = inputs.front();
    auto recipe = c10::make_intrusive<Recipe>();
    recipe->block = block;
    recipe->random = generator_state(x.device());
    recipe->type = autocast_type(x.device().type());
    ctx->saved_data["recipe"] = c10::IValue::make_capsule(recipe);
    ctx->save_for_backward(inputs.vec());
    // Weights that are cast here are cast without a gradient: nobody else may find them.
    const UncachedAutocast uncached;
    return block(x);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& d_outputs) {
    require(!at::GradMode::is_enabled(), ErrorCode::kUnsupported,
            "gradients of gradients do not go through activation checkpointing: leave out "
            "grad-checkpointing");
    const auto recipe =
        c10::static_intrusive_pointer_cast<Recipe>(ctx->saved_data["recipe"].toCapsule());
    variable_list inputs = ctx->get_saved_variables();
    const torch::Device device = inputs.front().device();
    const bool x_needed = ctx->needs_input_grad(0);
    inputs.front() = inputs.front().detach().requires_grad_(x_needed);

    const torch::Tensor now = generator_state(device);
    set_generator_state(device, recipe->random);
    torch::Tensor y;
    {
      const torch::AutoGradMode with_gradient(true);
      const AutocastGuard autocast(device.type(), recipe->type);
      y = recipe->block(inputs.front());
    }
    set_generator_state(device, now);

    variable_list wanted;
    for (const torch::Tensor& input : inputs) {
      if (input.requires_grad()) wanted.push_back(input);
    }
    const variable_list found = torch::autograd::grad({y}, wanted, d_outputs);
    variable_list gradients{torch::Tensor()};  // of `block`
    size_t next = 0;
    for (const torch::Tensor& input : inputs) {
      gradients.push_back(input.requires_grad() ? found[next++] : torch::Tensor());
    }
    return gradients;
  }
};

}  // namespace

torch::Tensor checkpoint(const std::function<torch::Tensor(const torch::Tensor&)>& block,
                         const torch::Tensor& x, const std::vector<torch::Tensor>& parameters) {
  if (!at::GradMode::is_enabled()) return block(x);
  variable_list inputs{x};
  inputs.insert(inputs.end(), parameters.begin(), parameters.end());
  return Checkpoint::apply(block, at::TensorList(inputs));
}

}  // namespace asmlp::nn
