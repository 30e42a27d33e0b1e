// Where and when something was measured.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace asmlp {

// {"host", "os", "cpu", "features", "isas", "cores"}: this machine as this process may use it.
// "features" are the processor's (cpu_features()), "isas" what the kernels of this build use.
nlohmann::ordered_json machine_facts();

// "2026-11-23T23:35:26Z".
std::string utc_time();

// {"machine", "build", "date", "rows": []}: where and when the rows to come are measured. Every
// published measurement (`asmlp bench`, `asmlp study`) starts as one.
nlohmann::ordered_json measurement_document();

}  // namespace asmlp
