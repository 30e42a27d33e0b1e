// The mean of the gradients of processes on one machine, through memory that they share.
//
// gloo sends each byte through the kernel and back, on threads of its own: where all cores compute,
// that is time of the step. Here a gradient is copied once when it is complete, while backward goes
// on with the layer before; each process adds up its part of a bucket when all have come to it, and
// copies the means out. All of it happens on the threads that compute backward.
#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <vector>

#include "asmlp/torch/distributed/shared_memory.h"
#include "asmlp/torch/distributed/world.h"

namespace asmlp::dist {

class SharedGradients : public GradientSync {
 public:
  // What the processes have to be told of one another, once.
  struct Place {
    int rank = 0, size = 1;
    Patience patience;
    std::function<void()> on_timeout;  // throws
  };

  // Whether it takes the parameters: fp32 or fp64 in the memory of the CPU.
  static bool takes(const std::vector<torch::Tensor>& parameters);
  // The bytes of memory that it shares.
  static size_t bytes(const std::vector<torch::Tensor>& parameters, int size);

  // Parameters as World::synchronize has them, `memory` of bytes(). Memory must be the same one in
  // all processes, and zeros.
  SharedGradients(const std::vector<torch::Tensor>& parameters,
                  std::shared_ptr<SharedMemory> memory, Place place);

  void before_backward(const torch::Tensor& loss, bool complete) override;
  // Error(kInvalidArgument) when a parameter has got no gradient.
  void after_backward() override;

 private:
  struct State;
  std::shared_ptr<State> state_;  // which the hooks look for
};

}  // namespace asmlp::dist
