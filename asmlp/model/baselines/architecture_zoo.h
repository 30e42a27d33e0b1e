// AS-MLP and the baselines by name (architecture.h, resolve_architecture).
#pragma once

#include <string>

#include "asmlp/model/baselines/architecture.h"

namespace asmlp {

// The named model; a weight tag after a dot is ignored. Error(kNotFound) for an unknown name,
// suggesting the nearest.
Architecture zoo_architecture(const std::string& name);

}  // namespace asmlp
