#include "asmlp/torch/detect/model/detector_file.h"

#include "asmlp/core/tensor.h"

namespace asmlp::detect {

std::optional<DetectorSpec> recognized_detector(const TensorMap& tensors) {
  for (const std::string& name : zoo_detector_names()) {
    DetectorSpec spec = zoo_detector(name);
    const bool cascade = spec.config.kind == DetectorKind::kCascade;
    const auto classes =
        tensors.find(fmt::format("roi_head.bbox_head.{}fc_cls.bias", cascade ? "0." : ""));
    if (classes == tensors.end() || !nn::has_backbone(tensors, spec.config.backbone)) continue;
    spec.config.num_classes = static_cast<int>(element_count(classes->second.shape)) - 1;
    return spec;
  }
  return std::nullopt;
}

DetectorFile load_detector(const std::filesystem::path& path, const DetectorLoadOptions& options) {
  const nn::DenseKind<DetectorSpec> kind{recognized_detector};
  return nn::load_dense_file<DetectorNet>(path, kind, options);
}

void save_detector(const std::filesystem::path& path, const DetectorSpec& spec,
                   const DetectorNetImpl& net) {
  nn::save_dense_file(path, spec, net);
}

}  // namespace asmlp::detect
