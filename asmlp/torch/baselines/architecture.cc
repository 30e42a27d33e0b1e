#include "asmlp/torch/baselines/architecture.h"

#include "asmlp/model/params.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/baselines/mlp_mixer.h"
#include "asmlp/torch/baselines/res_mlp.h"
#include "asmlp/torch/baselines/swin.h"
#include "asmlp/torch/baselines/token_mixers.h"

namespace asmlp::nn {
namespace {

// AS-MLP in the words of the other families.
void validate(const ModelSpec&, const AsMlpFamily&) {}  // spec.h validates it
Classifier make_classifier(const ModelSpec& spec, const AsMlpFamily&) {
  return std::make_shared<AsMlpImpl>(spec.config);
}
int64_t parameter_count(const ModelSpec& spec, const AsMlpFamily&) {
  return asmlp::parameter_count(spec.config);
}
int64_t multiply_adds(const ModelSpec& spec, const AsMlpFamily&, int h, int w) {
  return asmlp::multiply_adds(spec.config, h, w);
}

}  // namespace

void validate(const Architecture& architecture) {
  asmlp::validate(architecture.spec);
  std::visit([&](const auto& family) { validate(architecture.spec, family); }, architecture.family);
}

Classifier make_classifier(const Architecture& architecture) {
  validate(architecture);
  return std::visit([&](const auto& family) { return make_classifier(architecture.spec, family); },
                    architecture.family);
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

}  // namespace asmlp::nn
