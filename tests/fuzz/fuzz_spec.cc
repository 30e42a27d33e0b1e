// Any text is a model description or an asmlp::Error, as JSON and as YAML; what was accepted
// survives being written and read again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "asmlp/core/error.h"
#include "asmlp/model/params.h"
#include "asmlp/model/spec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (auto* read : {asmlp::spec_from_json, asmlp::spec_from_yaml}) {
    try {
      const asmlp::ModelSpec spec = read(text, "fuzz");
      const std::string json = asmlp::to_json(spec);
      if (!(asmlp::spec_from_json(json, "again") == spec)) std::abort();
      asmlp::parameter_count(spec.config);
    } catch (const asmlp::Error&) {
    }
  }
  return 0;
}
