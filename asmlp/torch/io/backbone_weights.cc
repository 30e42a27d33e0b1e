#include "asmlp/torch/io/backbone_weights.h"

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/model/params.h"
#include "asmlp/model/spec.h"
#include "asmlp/model/spec_text.h"
#include "asmlp/torch/nn/dense_spec.h"
#include "asmlp/torch/nn/fields_json.h"

namespace asmlp::nn {

std::string shift_text(const ShiftSize& size) {
  return size.h == size.w ? fmt::format("{}", size.h) : fmt::format("[{}, {}]", size.h, size.w);
}

std::optional<ShiftSize> described_shift(const std::map<std::string, std::string>& metadata) {
  if (const auto own = metadata.find("asmlp"); own != metadata.end()) {
    return spec_from_json(own->second, "__metadata__.asmlp").config.shift_size;
  }
  for (const char* key : {"asmlp_detector", "asmlp_segmentor"}) {
    const auto found = metadata.find(key);
    if (found == metadata.end()) continue;
    const std::string what = fmt::format("__metadata__.{}", key);
    const auto json = json_from_text(found->second, what);
    if (!json.contains("config") || !json["config"].contains("backbone")) continue;
    Config config;
    read_json(json["config"]["backbone"], config, what + ": config: backbone");
    return config.shift_size;
  }
  return std::nullopt;
}

BackboneReport load_backbone(BackboneImpl& backbone, const std::filesystem::path& path) {
  constexpr const char* kPrefix = "backbone.";
  const std::string what = path.string();
  StateFile file = read_state_file(path);
  BackboneReport report;
  if (TensorMap inner = below_prefix(file.tensors, kPrefix); !inner.empty()) {
    report.notes.push_back(fmt::format("the {} tensors under '{}' are taken, {} others are not",
                                       inner.size(), kPrefix, file.tensors.size() - inner.size()));
    file.tensors = std::move(inner);
  }
  require(file.tensors.contains("layers.0.blocks.0.axial_shift.conv2_1.weight"),
          ErrorCode::kMismatch,
          "{}: not the weights of an AS-MLP: 'layers.0.blocks.0.axial_shift.conv2_1.weight' is "
          "missing",
          what);
  report.state = load_state(backbone, file.tensors, what);
  report.shift_size = described_shift(file.metadata);
  const std::string own = shift_text(backbone.config().shift_size);
  if (!report.shift_size) {
    report.notes.push_back(
        fmt::format("the file does not say its shift size; the backbone's is {}", own));
  } else if (*report.shift_size != backbone.config().shift_size) {
    report.notes.push_back(
        fmt::format("the weights were made for shift size {}, the backbone's is {}",
                    shift_text(*report.shift_size), own));
  }
  return report;
}

bool has_backbone(const TensorMap& tensors, const Config& backbone) {
  // The norms of the outputs are a detector's own (norm0, norm1, ...), not a classifier's (norm).
  const auto is_shared = [](const std::string& name) { return !name.starts_with("norm"); };
  std::vector<Param> table = parameter_table(without_head(backbone));
  std::erase_if(table, [&](const Param& param) { return !is_shared(param.name); });
  const TensorMap own = below_prefix(tensors, "backbone.");
  const auto found =
      std::ranges::count_if(own, [&](const auto& it) { return is_shared(it.first); });
  return found == std::ssize(table) && std::ranges::all_of(table, [&](const Param& param) {
           const auto it = own.find(param.name);
           return it != own.end() && it->second.shape == param.shape;
         });
}

}  // namespace asmlp::nn
