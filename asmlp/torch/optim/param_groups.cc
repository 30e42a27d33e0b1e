#include "asmlp/torch/optim/param_groups.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "asmlp/core/error.h"

namespace asmlp::train {
namespace {

// The number at the start of the text, which ends there or at a dot; both are taken away.
std::optional<int> take_number(std::string_view& text) {
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto length = static_cast<size_t>(stop - text.data());
  if (error != std::errc() || (length < text.size() && text[length] != '.')) return std::nullopt;
  text.remove_prefix(std::min(length + 1, text.size()));
  return value;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// A name cut into what decides its place.
struct NameParts {
  bool stem = false;         // patch_embed.*, stem.*
  std::optional<int> stage;  // layers.S.*; norm S of an output
  std::optional<int> block;  // layers.S.blocks.B.*, or blocks.B.*
  bool merging = false;      // layers.S.downsample.*
};

NameParts parts_of(const std::string& name) {
  std::string_view rest = name;
  NameParts parts;
  const bool dense = take(rest, "backbone.");
  parts.stem = take(rest, "patch_embed.") || take(rest, "stem.");
  if (take(rest, "layers.")) {
    parts.stage = take_number(rest);
    parts.merging = take(rest, "downsample.");
  } else if (dense && take(rest, "norm")) {
    parts.stage = take_number(rest);
    return parts;
  }
  if (take(rest, "blocks.")) parts.block = take_number(rest);
  return parts;
}

bool is_frozen(const ParameterPlace& place, int stages) {
  return place.stage >= 0 && place.stage < stages;
}

}  // namespace

ParameterPlaces parameter_places(const torch::nn::Module& module) {
  const auto parameters = module.named_parameters();
  ParameterPlaces places;
  std::map<int, int> blocks;  // of each stage; of a network without stages all are of stage 0
  for (const auto& item : parameters) {
    const NameParts parts = parts_of(item.key());
    if (parts.stage) places.stages = std::max(places.stages, *parts.stage + 1);
    if (parts.block) {
      int& count = blocks[parts.stage.value_or(0)];
      count = std::max(count, *parts.block + 1);
    }
  }
  const auto blocks_before = [&](int stage) {
    int count = 0;
    for (const auto& [of, number] : blocks) count += of < stage ? number : 0;
    return count;
  };
  places.layers = blocks_before(1 << 20) + 1;
  for (const auto& item : parameters) {
    const NameParts parts = parts_of(item.key());
    ParameterPlace place{.stage = parts.stem && places.stages > 0 ? 0 : parts.stage.value_or(-1),
                         .layer = parts.stem ? 0 : places.layers};
    if (parts.block) place.layer = blocks_before(parts.stage.value_or(0)) + *parts.block + 1;
    if (parts.merging) place.layer = blocks_before(*parts.stage + 1);
    places.by_name[item.key()] = place;
  }
  return places;
}

void freeze_stages(torch::nn::Module& module, int stages) {
  if (stages == 0) return;
  const ParameterPlaces places = parameter_places(module);
  require(stages <= places.stages, ErrorCode::kInvalidArgument,
          "freeze is {}: the model has {} stages", stages, places.stages);
  for (const auto& item : module.named_parameters()) {
    if (is_frozen(places.by_name.at(item.key()), stages)) {
      torch::Tensor(item.value()).set_requires_grad(false);
    }
  }
}

void set_frozen_to_evaluation(torch::nn::Module& module, int stages) {
  if (stages == 0) return;
  for (const auto& item : module.named_modules("", /*include_self=*/false)) {
    const NameParts parts = parts_of(item.key() + ".");
    if (parts.stem || (parts.stage && *parts.stage < stages)) item.value()->eval();
  }
}

std::map<std::string, double> layer_scales(const torch::nn::Module& module, double decay) {
  const ParameterPlaces places = parameter_places(module);
  std::map<std::string, double> scales;
  for (const auto& [name, place] : places.by_name) {
    scales[name] = std::pow(decay, places.layers - place.layer);
  }
  return scales;
}

}  // namespace asmlp::train
