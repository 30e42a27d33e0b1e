#include "asmlp/torch/io/backbone_weights.h"

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/model/params.h"

namespace asmlp::nn {

BackboneReport load_backbone(BackboneImpl& backbone, const WeightFile& file) {
  constexpr const char* kPrefix = "backbone.";
  const std::string what = file.path.string();
  BackboneReport report;
  TensorMap tensors = below_prefix(file.tensors, kPrefix);
  if (tensors.empty()) {
    tensors = file.tensors;
  } else {
    report.notes.push_back(fmt::format("the {} tensors under '{}' are taken, {} others are not",
                                       tensors.size(), kPrefix,
                                       file.tensors.size() - tensors.size()));
  }
  require(tensors.contains("layers.0.blocks.0.axial_shift.conv2_1.weight"), ErrorCode::kMismatch,
          "{}: not the weights of an AS-MLP: 'layers.0.blocks.0.axial_shift.conv2_1.weight' is "
          "missing",
          what);
  report.state = load_state(backbone, tensors, what);
  if (const auto described = file.description()) report.shift_size = described->shift_size();
  const std::string own = to_string(backbone.config().shift_size);
  if (!report.shift_size) {
    report.notes.push_back(
        fmt::format("the file does not say its shift size; the backbone's is {}", own));
  } else if (*report.shift_size != backbone.config().shift_size) {
    report.notes.push_back(
        fmt::format("the weights were made for shift size {}, the backbone's is {}",
                    to_string(*report.shift_size), own));
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
