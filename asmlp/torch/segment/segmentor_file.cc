#include "asmlp/torch/segment/segmentor_file.h"

#include "asmlp/core/tensor.h"

namespace asmlp::segment {

std::optional<SegmentorSpec> recognized_segmentor(const TensorMap& tensors) {
  for (const std::string& name : zoo_segmentor_names()) {
    SegmentorSpec spec = zoo_segmentor(name);
    const auto classes = tensors.find("decode_head.conv_seg.bias");
    if (classes == tensors.end() || !nn::has_backbone(tensors, spec.config.backbone)) continue;
    spec.config.num_classes = static_cast<int>(element_count(classes->second.shape));
    return spec;
  }
  return std::nullopt;
}

SegmentorFile load_segmentor(const std::filesystem::path& path,
                             const SegmentorLoadOptions& options) {
  const nn::DenseKind<SegmentorSpec> kind{recognized_segmentor};
  return nn::load_dense_file<SegmentorNet>(path, kind, options);
}

void save_segmentor(const std::filesystem::path& path, const SegmentorSpec& spec,
                    const SegmentorNetImpl& net) {
  nn::save_dense_file(path, spec, net);
}

}  // namespace asmlp::segment
