// A network for an architecture: AS-MLP or a baseline.
#pragma once

#include "asmlp/model/baselines/architecture.h"
#include "asmlp/torch/nn/classifier.h"

namespace asmlp::nn {

// A new model, initialized as its authors do it, in fp32 on the CPU. Validates first.
Classifier make_classifier(const Architecture& architecture);

}  // namespace asmlp::nn
