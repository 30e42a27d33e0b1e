#include "asmlp/engine/heads/detector_weights.h"

#include <fmt/format.h>

#include "asmlp/kernels/int8_kernels.h"
#include "asmlp/weights/fold_batch_norm.h"

namespace asmlp {
namespace {

void add_box_head(WeightPacker& packer, const TensorMap& tensors, const std::string& name,
                  const DetectorConfig& config, BoxHeadWeights& head) {
  head.convs.resize(config.box_head.convs);
  head.fcs.resize(config.box_head.fcs);
  for (size_t i = 0; i < head.convs.size(); ++i) {
    add_conv(packer, head.convs[i], tensors, fmt::format("{}.shared_convs.{}.conv", name, i));
  }
  // The first layer reads a flattened map: channel, row, column in the file.
  int64_t positions = int64_t{config.roi.box_size} * config.roi.box_size;
  for (size_t i = 0; i < head.fcs.size(); ++i, positions = 1) {
    packer.add(head.fcs[i].matrix, fmt::format("{}.shared_fcs.{}", name, i), positions);
  }
  packer.add_side_by_side(head.outputs.matrix, {name + ".fc_cls", name + ".fc_reg"});
}

void add_mask_head(WeightPacker& packer, const TensorMap& tensors, const std::string& name,
                   const DetectorConfig& config, MaskHeadWeights& head) {
  head.convs.resize(config.mask_head.convs);
  for (size_t i = 0; i < head.convs.size(); ++i) {
    add_conv(packer, head.convs[i], tensors, fmt::format("{}.convs.{}.conv", name, i));
  }
  // A transposed convolution of 2 x 2 and stride 2, [in, out, 2, 2]: every cell becomes four of its
  // own, so it is a linear layer.
  const int64_t channels = config.mask_head.channels;
  const std::vector<float> from = to_f32(tensors.at(name + ".upsample.weight"));
  const std::vector<float> one_bias = to_f32(tensors.at(name + ".upsample.bias"));
  std::vector<float> weight(from.size()), bias;
  for (int64_t position = 0; position < 4; ++position) {
    bias.insert(bias.end(), one_bias.begin(), one_bias.end());
    for (int64_t out = 0; out < channels; ++out) {
      for (int64_t in = 0; in < channels; ++in) {
        weight[(position * channels + out) * channels + in] =
            from[(in * channels + out) * 4 + position];
      }
    }
  }
  packer.add(head.upsample, make_tensor({4 * channels, channels}, std::move(weight)),
             make_tensor({4 * channels}, std::move(bias)));
  packer.add(head.logits, name + ".conv_logits.weight");
  packer.add(head.logits_bias, name + ".conv_logits.bias");
}

}  // namespace

DetectorWeights::DetectorWeights(const KernelSet& set, const DetectorConfig& config,
                                 const TensorMap& official)
    : kernels(set.int8 != nullptr ? set.int8->base : &set) {
  const TensorMap tensors = fold_batch_norms(official);
  WeightPacker packer(set, tensors, arena);
  add_backbone(packer, config.backbone, "backbone.", *this);
  const int stage_count = config.backbone.num_stages();
  norms.resize(stage_count);
  laterals.resize(stage_count);
  outputs.resize(stage_count);
  for (int k = 0; k < stage_count; ++k) {
    packer.add(norms[k], fmt::format("backbone.norm{}", k));
    add_conv(packer, laterals[k], tensors, fmt::format("neck.lateral_convs.{}.conv", k));
    add_conv(packer, outputs[k], tensors, fmt::format("neck.fpn_convs.{}.conv", k));
  }
  add_conv(packer, rpn_conv, tensors, "rpn_head.rpn_conv");
  packer.add_side_by_side(rpn_outputs, {"rpn_head.rpn_cls", "rpn_head.rpn_reg"});
  box_heads.resize(config.stages.size());
  if (has_masks(config.kind)) mask_heads.resize(config.stages.size());
  for (size_t k = 0; k < config.stages.size(); ++k) {
    const std::string stage = is_cascade(config.kind) ? fmt::format(".{}", k) : "";
    add_box_head(packer, tensors, "roi_head.bbox_head" + stage, config, box_heads[k]);
    if (mask_heads.empty()) continue;
    add_mask_head(packer, tensors, "roi_head.mask_head" + stage, config, mask_heads[k]);
  }
  packer.pack();
}

}  // namespace asmlp
