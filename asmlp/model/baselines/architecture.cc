#include "asmlp/model/baselines/architecture.h"

#include "asmlp/model/params.h"

namespace asmlp {
namespace {

// AS-MLP in the words of the other families.
void validate(const ModelSpec&, const AsMlpFamily&) {}  // spec.h validates it
int64_t parameter_count(const ModelSpec& spec, const AsMlpFamily&) {
  return asmlp::parameter_count(spec.config);
}
int64_t multiply_adds(const ModelSpec& spec, const AsMlpFamily&, int h, int w) {
  return asmlp::multiply_adds(spec.config, h, w);
}

}  // namespace

void validate(const Architecture& architecture) {
  validate(architecture.spec);
  std::visit([&](const auto& family) { validate(architecture.spec, family); }, architecture.family);
}

int64_t parameter_count(const Architecture& architecture) {
  return std::visit([&](const auto& family) { return parameter_count(architecture.spec, family); },
                    architecture.family);
}

int64_t multiply_adds(const Architecture& architecture, int h, int w) {
  return std::visit(
      [&](const auto& family) { return multiply_adds(architecture.spec, family, h, w); },
      architecture.family);
}

}  // namespace asmlp
