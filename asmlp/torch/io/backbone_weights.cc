#include "asmlp/torch/io/backbone_weights.h"

#include "asmlp/core/error.h"

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

}  // namespace asmlp::nn
