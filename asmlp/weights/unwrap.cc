#include "asmlp/weights/unwrap.h"

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/weights/weight_file.h"

namespace asmlp {
namespace {

using Notes = std::vector<std::string>;

constexpr std::string_view kPatchWeight = "patch_embed.proj.weight";
constexpr std::string_view kBackbone = "backbone.";

// The name without the parts that wrapper modules add, wherever they stand.
std::string without_wrappers(std::string_view name) {
  constexpr std::string_view kAnywhere[] = {"_orig_mod", "_fsdp_wrapped_module",
                                            "_checkpoint_wrapped_module"};
  std::string kept;
  bool leading = true;
  while (!name.empty()) {
    const size_t dot = std::min(name.find('.'), name.size());
    const std::string_view part = name.substr(0, dot);
    name.remove_prefix(std::min(dot + 1, name.size()));
    const bool wrapper =
        !name.empty() && ((leading && part == "module") ||
                          std::ranges::find(kAnywhere, part) != std::end(kAnywhere));
    if (wrapper) continue;
    leading = false;
    kept += kept.empty() ? "" : ".";
    kept += part;
  }
  return kept;
}

// Numbers and copies that averaging adds: n_averaged of AveragedModel, steps of mmengine's, and
// mmcv's ema_backbone_layers_0_..., which it swaps with the model's own when it saves.
bool is_of_averaging(std::string_view name, const Tensor& tensor) {
  const std::string_view last = name.substr(name.find_last_of('.') + 1);
  if (last == "n_averaged") return true;
  if (name == "steps") return element_count(tensor.shape) == 1;
  return name.starts_with("ema_") && name.find('.') == std::string_view::npos;
}

TensorMap without_wrappers(TensorMap tensors, const std::string& what, Notes& notes) {
  TensorMap out;
  std::string dropped;
  size_t dropped_count = 0;
  for (auto& [name, tensor] : tensors) {
    if (is_of_averaging(name, tensor)) {
      if (dropped_count++ == 0) dropped = name.substr(0, 200);
      continue;
    }
    std::string kept = without_wrappers(name);
    require(!out.contains(kept), ErrorCode::kBadFormat,
            "{}: the tensor '{}' is there twice, once as '{}'", what, kept.substr(0, 200),
            name.substr(0, 200));
    out.emplace(std::move(kept), std::move(tensor));
  }
  if (dropped_count > 0) {
    notes.push_back(
        fmt::format("'{}'{} of the averaging of weights (EMA) {} dropped.", dropped,
                    dropped_count > 1 ? fmt::format(" and {} others", dropped_count - 1) : "",
                    dropped_count > 1 ? "are" : "is"));
  }
  return out;
}

bool is_averaged(const std::string& prefix) {
  std::string_view rest = prefix;
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find('.'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    if (part == "ema" || part.starts_with("ema_") || part.ends_with("_ema")) return true;
  }
  return false;
}

// Gradients stand beside the weights under the same names (golden data).
bool is_of_gradients(const std::string& prefix) {
  return prefix.starts_with("grad.") || prefix.ends_with(".grad.");
}

// What stands before the first weight of every AS-MLP there is, the one to take first.
std::vector<std::string> prefixes_of(const TensorMap& tensors) {
  std::vector<std::string> prefixes;
  for (const auto& [name, tensor] : tensors) {
    if (!name.ends_with(kPatchWeight)) continue;
    std::string prefix = name.substr(0, name.size() - kPatchWeight.size());
    if (prefix.empty() || prefix.back() == '.') prefixes.push_back(std::move(prefix));
  }
  std::ranges::stable_sort(prefixes, [](const std::string& a, const std::string& b) {
    const auto key = [](const std::string& prefix) {
      return std::tuple(is_of_gradients(prefix), !is_averaged(prefix), prefix.size());
    };
    return key(a) < key(b);
  });
  return prefixes;
}

// The head that stands beside a classifier's backbone, as "" or its prefix: [classes, features].
std::string head_beside(const TensorMap& tensors, const std::string& outer) {
  const auto norm = tensors.find(outer + std::string(kBackbone) + "norm.weight");
  if (norm == tensors.end() || norm->second.shape.size() != 1) return "";
  for (const char* head : {"head.fc.", "head.", "classifier.", "fc."}) {
    const auto weight = tensors.find(outer + head + "weight");
    if (weight == tensors.end() || weight->second.shape.size() != 2) continue;
    if (weight->second.shape[1] == norm->second.shape[0]) return outer + head;
  }
  return "";
}

// Of "backbone." and what is before it: how much is to be taken off.
std::string removable(const TensorMap& tensors, const std::string& prefix, std::string& head) {
  if (!prefix.ends_with(kBackbone)) return prefix;
  const std::string outer = prefix.substr(0, prefix.size() - kBackbone.size());
  for (const char* part : {"roi_head.", "rpn_head.", "neck.", "decode_head.", "auxiliary_head."}) {
    if (has_prefix(tensors, outer + part)) return outer;
  }
  if (tensors.contains(prefix + "head.weight") && tensors.contains(prefix + "norm.weight")) {
    return prefix;
  }
  head = head_beside(tensors, outer);
  return head.empty() ? outer : prefix;
}

}  // namespace

TensorMap unwrapped(TensorMap tensors, const std::string& what, Notes& notes) {
  tensors = without_wrappers(std::move(tensors), what, notes);
  const std::vector<std::string> prefixes = prefixes_of(tensors);
  // "weight." is that of golden data, which hold more than a model.
  if (prefixes.empty() || prefixes[0].empty() || prefixes[0] == "weight.") return tensors;
  std::string head;
  const std::string prefix = removable(tensors, prefixes[0], head);
  if (prefix.empty()) return tensors;
  TensorMap kept = below_prefix(tensors, prefix);
  std::string with_head;
  if (!head.empty()) {
    for (const char* part : {"weight", "bias"}) {
      const auto found = tensors.find(head + part);
      if (found != tensors.end()) kept[std::string("head.") + part] = found->second;
    }
    with_head = fmt::format(" with the head '{}'", head.substr(0, 200));
  }
  notes.push_back(fmt::format(
      "the {} tensors under '{}'{} are the model{}.", kept.size(), prefix.substr(0, 200), with_head,
      kept.size() == tensors.size()
          ? ""
          : fmt::format(", {} others are ignored", tensors.size() - kept.size())));
  if (prefixes.size() > 1) {
    notes.push_back(fmt::format("the file holds {} models, another one is under '{}'.",
                                prefixes.size(), prefixes[1].substr(0, 200)));
  }
  return kept;
}

}  // namespace asmlp
