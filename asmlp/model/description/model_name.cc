#include "asmlp/model/description/model_name.h"

#include <fmt/ranges.h>

#include "asmlp/schema/fields.h"

namespace asmlp {
namespace {

// Configs without what leaves the network the same.
Config essence(Config config) {
  config.num_classes = 0;
  config.drop_path = 0;
  return config;
}
DetectorConfig essence(DetectorConfig config) {
  config.num_classes = 0;
  config.backbone = essence(config.backbone);
  return config;
}
SegmentorConfig essence(SegmentorConfig config) {
  config.num_classes = 0;
  config.class_weights.clear();
  config.backbone = essence(config.backbone);
  return config;
}

bool same_network(const Architecture& a, const Architecture& b) {
  return essence(a.spec.config) == essence(b.spec.config) && a.family == b.family;
}
template <typename C>
bool same_network(const DenseSpec<C>& a, const DenseSpec<C>& b) {
  return essence(a.config) == essence(b.config);
}

// "" when there is none.
std::string published_name(const Description& description) {
  std::string found;
  for (const std::string& name : model_names(description.task())) {
    const Description published = named_description(name);
    const bool same = std::visit(
        [&](const auto& model) {
          using Model = std::decay_t<decltype(model)>;
          return same_network(model, std::get<Model>(published.model));
        },
        description.model);
    if (!same) continue;
    if (counted_size(published) == counted_size(description)) return name;
    if (found.empty()) found = name;
  }
  return found;
}

std::string sizes(int embed_dim, const std::vector<int>& depths, int patch_size) {
  return fmt::format("e{}_d{}_p{}", embed_dim, fmt::join(depths, "-"), patch_size);
}

std::string sizes(const Config& config) {
  return "asmlp_" + sizes(config.embed_dim, config.depths, config.patch_size);
}

std::string shifted(const Config& config) {
  const ShiftSize& shift = config.shift_size;
  return sizes(config) + (shift.h == shift.w ? fmt::format("_s{}", shift.h)
                                             : fmt::format("_s{}x{}", shift.h, shift.w));
}

std::string family_name(const Config& config, const AsMlpFamily&) { return shifted(config); }
std::string family_name(const Config& config, const TokenMixerConfig& mixer) {
  return sizes(config) + "_" + to_string(mixer.mixer);
}
std::string family_name(const Config&, const SwinConfig& swin) {
  return fmt::format("{}_{}_w{}", swin.kFamily, sizes(swin.embed_dim, swin.depths, swin.patch_size),
                     swin.window_size);
}
template <typename Mlp>
std::string family_name(const Config&, const Mlp& mlp) {
  return fmt::format("{}_{}", mlp.kFamily, sizes(mlp.embed_dim, {mlp.depth}, mlp.patch_size));
}

std::string name_by_sizes(const Architecture& architecture) {
  return std::visit(
      [&](const auto& family) { return family_name(architecture.spec.config, family); },
      architecture.family);
}
std::string name_by_sizes(const DetectorSpec& spec) {
  return fmt::format("{}_{}", name_of(spec.config.kind), shifted(spec.config.backbone));
}
std::string name_by_sizes(const SegmentorSpec& spec) {
  return "upernet_" + shifted(spec.config.backbone);
}

}  // namespace

std::string model_name(const Description& description) {
  if (!description.name().empty()) return description.name();
  const std::string published = published_name(description);
  if (!published.empty()) return published;
  return std::visit([](const auto& model) { return name_by_sizes(model); }, description.model);
}

}  // namespace asmlp
