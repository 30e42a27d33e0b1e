#include "asmlp/torch/baselines/make_classifier.h"

#include "asmlp/torch/baselines/mlp_mixer.h"
#include "asmlp/torch/baselines/res_mlp.h"
#include "asmlp/torch/baselines/swin.h"
#include "asmlp/torch/baselines/token_mixers.h"
#include "asmlp/torch/nn/as_mlp.h"

namespace asmlp::nn {
namespace {

Classifier make_classifier(const ModelSpec& spec, const AsMlpFamily&) {
  return std::make_shared<AsMlpImpl>(spec.config);
}

}  // namespace

Classifier make_classifier(const Architecture& architecture) {
  validate(architecture);
  return std::visit([&](const auto& family) { return make_classifier(architecture.spec, family); },
                    architecture.family);
}

}  // namespace asmlp::nn
