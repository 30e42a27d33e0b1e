// Debian's libtorch-dev 1.13 has c10d/reducer.hpp, but not this header, which it includes. What
// reducer.hpp needs of it: two type names, no more than a pointer of which goes into its classes. (They
// serve distributed autograd, which nothing here uses.) Only on the include path when the real one is
// missing: asmlp/torch/CMakeLists.txt.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>

namespace torch::distributed::autograd {

class DistAutogradContext {
 public:
  using GradCallback = std::function<bool(at::Tensor&)>;
};

using ContextPtr = std::shared_ptr<DistAutogradContext>;

}  // namespace torch::distributed::autograd
