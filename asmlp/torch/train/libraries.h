// The libraries under a training run, for its log.
#pragma once

#include <nlohmann/json.hpp>

namespace asmlp::train {

// {"libtorch", "blas"}: the version compiled against, and the library that multiplies matrices as
// far as it can be told ("OpenBLAS 0.3.21 ...", or the file).
nlohmann::ordered_json library_facts();

}  // namespace asmlp::train
