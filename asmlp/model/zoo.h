// The published models by name.
#pragma once

#include <string>
#include <vector>

#include "asmlp/model/spec.h"

namespace asmlp {

// asmlp_{mobile,tiny,small,base}_patch4_shift5_224 and asmlp_base_patch4_shift5_384, smallest
// first.
std::vector<std::string> zoo_names();

// The named model's spec (config, ImageNet preprocessing, no class names). A weight tag after a dot
// is ignored. Error(kNotFound) for an unknown name, suggesting the nearest.
ModelSpec zoo_model(const std::string& name);

}  // namespace asmlp
