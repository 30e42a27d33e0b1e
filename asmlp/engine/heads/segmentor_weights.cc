#include "asmlp/engine/heads/segmentor_weights.h"

#include <fmt/format.h>

#include "asmlp/kernels/int8_kernels.h"
#include "asmlp/weights/fold_batch_norm.h"

namespace asmlp {

SegmentorWeights::SegmentorWeights(const KernelSet& set, const SegmentorConfig& config,
                                   const TensorMap& official)
    : kernels(set.int8 != nullptr ? set.int8->base : &set) {
  const TensorMap tensors = fold_batch_norms(official);
  WeightPacker packer(set, tensors, arena);
  add_backbone(packer, config.backbone, "backbone.", *this);
  const int stage_count = config.backbone.num_stages();
  norms.resize(stage_count);
  pooling.resize(config.decode_head.pool_scales.size());
  laterals.resize(stage_count - 1);
  outputs.resize(stage_count - 1);
  for (int k = 0; k < stage_count; ++k) packer.add(norms[k], fmt::format("backbone.norm{}", k));
  const std::string head = "decode_head.";
  for (size_t k = 0; k < pooling.size(); ++k) {
    add_conv(packer, pooling[k], tensors, fmt::format("{}psp_modules.{}.1.conv", head, k));
  }
  add_conv(packer, bottleneck, tensors, head + "bottleneck.conv");
  for (size_t k = 0; k < laterals.size(); ++k) {
    add_conv(packer, laterals[k], tensors, fmt::format("{}lateral_convs.{}.conv", head, k));
    add_conv(packer, outputs[k], tensors, fmt::format("{}fpn_convs.{}.conv", head, k));
  }
  add_conv(packer, fusion, tensors, head + "fpn_bottleneck.conv");
  packer.add(classes, head + "conv_seg");
  packer.pack();
}

}  // namespace asmlp
