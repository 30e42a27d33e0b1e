#include "asmlp/study/family.h"

#include "asmlp/core/error.h"
#include "asmlp/model/baselines/architecture.h"

namespace asmlp::study {
namespace {

std::string family_name(const AsMlpFamily&) { return kEngineFamily; }
std::string family_name(const TokenMixerConfig& config) { return to_string(config.mixer); }
std::string family_name(const SwinConfig&) { return "Swin"; }
std::string family_name(const MlpMixerConfig&) { return "MLP-Mixer"; }
std::string family_name(const ResMlpConfig&) { return "ResMLP"; }

}  // namespace

std::string family_of(const nlohmann::json& options) {
  const auto model = options.find("model");
  if (model == options.end()) return kEngineFamily;  // the default of `asmlp train`
  if (!model->is_string() && !model->is_object()) return "";
  try {
    const Architecture architecture = resolve_architecture(
        model->is_string() ? model->get<std::string>()
                           : model->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return std::visit([](const auto& family) { return family_name(family); }, architecture.family);
  } catch (const Error&) {
    return "";
  }
}

}  // namespace asmlp::study
