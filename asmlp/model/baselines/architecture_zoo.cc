#include "asmlp/model/baselines/architecture_zoo.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/model/zoo.h"
#include "asmlp/schema/nearest.h"

namespace asmlp {
namespace {

struct Entry {
  const char* name;
  double drop_path;  // of the authors' training files; 0.1 where they are not known
  decltype(Architecture::family) family;
};

// Sizes as published; Swin's mobile is AS-MLP's paper's. ResMLP's layer scale begins at a smaller
// value for more layers, as in timm.
const std::vector<Entry>& entries() {
  static const std::vector<Entry> kEntries{
      {"swin_mobile_patch4_window7_224", 0.2, SwinConfig{64, {2, 2, 2, 2}, {2, 4, 8, 16}}},
      {"swin_tiny_patch4_window7_224", 0.2, SwinConfig{96, {2, 2, 6, 2}, {3, 6, 12, 24}}},
      {"swin_small_patch4_window7_224", 0.3, SwinConfig{96, {2, 2, 18, 2}, {3, 6, 12, 24}}},
      {"swin_base_patch4_window7_224", 0.5, SwinConfig{128, {2, 2, 18, 2}, {4, 8, 16, 32}}},
      {"mixer_s16_224", 0.1, MlpMixerConfig{512, 8, 16}},
      {"mixer_b16_224", 0.1, MlpMixerConfig{768, 12, 16}},
      {"resmlp_12_224", 0.1, ResMlpConfig{384, 12, 16, 4.0, 1e-4}},
      {"resmlp_24_224", 0.1, ResMlpConfig{384, 24, 16, 4.0, 1e-5}},
      {"resmlp_36_224", 0.1, ResMlpConfig{384, 36, 16, 4.0, 1e-6}},
  };
  return kEntries;
}

struct MixerEntry {
  const char* name;
  const char* skeleton;
  TokenMixer mixer;
};

// The paper compares the token mixers in its mobile model.
const std::vector<MixerEntry>& mixer_entries() {
  static const std::vector<MixerEntry> kEntries{
      {"asmlp_mobile_patch4_global_224", "asmlp_mobile_patch4_shift5_224", TokenMixer::kGlobalMlp},
      {"asmlp_mobile_patch4_axial_224", "asmlp_mobile_patch4_shift5_224", TokenMixer::kAxialMlp},
      {"asmlp_mobile_patch4_window7_224", "asmlp_mobile_patch4_shift5_224", TokenMixer::kWindowMlp},
  };
  return kEntries;
}

}  // namespace

std::vector<std::string> architecture_names() {
  std::vector<std::string> names = zoo_names();
  for (const MixerEntry& entry : mixer_entries()) names.emplace_back(entry.name);
  for (const Entry& entry : entries()) names.emplace_back(entry.name);
  return names;
}

Architecture zoo_architecture(const std::string& name) {
  const std::string key = name.substr(0, name.find('.'));
  for (const MixerEntry& entry : mixer_entries()) {
    if (key != entry.name) continue;
    Architecture architecture{zoo_model(entry.skeleton), TokenMixerConfig{entry.mixer}};
    architecture.spec.name = entry.name;
    return architecture;
  }
  for (const Entry& entry : entries()) {
    if (key != entry.name) continue;
    Architecture architecture{{}, entry.family};
    architecture.spec.name = entry.name;
    architecture.spec.config.drop_path = entry.drop_path;
    architecture.spec.preprocessing = default_preprocessing(architecture.spec.config, 224);
    return architecture;
  }
  const auto known = zoo_names();
  if (std::find(known.begin(), known.end(), key) != known.end()) {
    return {zoo_model(key), AsMlpFamily{}};
  }
  const auto names = architecture_names();
  fail(ErrorCode::kNotFound, "unknown model '{}'{} (known: {})", name, did_you_mean(key, names),
       fmt::join(names, ", "));
}

}  // namespace asmlp
