// The compared models by name (architecture.h, resolve_architecture).
#pragma once

#include <string>

#include "asmlp/torch/baselines/architecture.h"

namespace asmlp::nn {

// The named model; a weight tag after a dot is ignored. Error(kNotFound) for an unknown name,
// suggesting the nearest.
Architecture zoo_architecture(const std::string& name);

// The AS-MLP of model/zoo.h whose skeleton the token-mixer model of this name has.
std::string token_mixer_skeleton(const std::string& name);

}  // namespace asmlp::nn
