#include "asmlp/engine/packed_weights.h"

#include <fmt/format.h>

#include "asmlp/kernels/int8_kernels.h"

namespace asmlp {
namespace {

void add_block(WeightPacker& packer, const std::string& name, PackedBlock& block) {
  packer.add(block.norm1, name + "norm1");
  packer.add(block.conv1, name + "axial_shift.conv1");
  packer.add(block.shift_norm1, name + "axial_shift.norm1");
  packer.add(block.conv2_1, name + "axial_shift.conv2_1");
  packer.add(block.conv2_2, name + "axial_shift.conv2_2");
  packer.add(block.shift_norm2, name + "axial_shift.norm2");
  packer.add(block.conv3, name + "axial_shift.conv3");
  packer.add(block.norm2, name + "norm2");
  packer.add(block.fc1, name + "mlp.fc1");
  packer.add(block.fc2, name + "mlp.fc2");
}

}  // namespace

void add_backbone(WeightPacker& packer, const Config& config, const std::string& prefix,
                  BackboneWeights& weights) {
  weights.stages.resize(config.num_stages());
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    weights.stages[stage].blocks.resize(config.depths[stage]);  // nothing may move from here on
  }
  // The first convolution reads the image, whose channels are apart; the others read maps.
  constexpr int kTaps = 9;
  weights.stem.resize(config.stem_convs());
  for (size_t i = 0; i < weights.stem.size(); ++i) {
    const std::string step = fmt::format("{}patch_embed.stem.{}.", prefix, i);
    packer.add(weights.stem[i].conv, step + "conv", i == 0 ? 1 : kTaps);
    packer.add(weights.stem[i].norm, step + "norm");
  }
  packer.add(weights.patch_embed, prefix + "patch_embed.proj", weights.stem.empty() ? 1 : kTaps);
  if (config.patch_norm) packer.add(weights.patch_norm, prefix + "patch_embed.norm");
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    const std::string layer = fmt::format("{}layers.{}.", prefix, stage);
    PackedStage& packed = weights.stages[stage];
    for (int i = 0; i < config.depths[stage]; ++i) {
      add_block(packer, fmt::format("{}blocks.{}.", layer, i), packed.blocks[i]);
    }
    if (stage + 1 < config.num_stages()) {
      packer.add(packed.merge_norm, layer + "downsample.norm");
      packer.add(packed.reduction, layer + "downsample.reduction",
                 config.downsample == Downsample::kConv ? kTaps : 1);
    }
  }
}

PackedWeights::PackedWeights(const KernelSet& set, const Config& config, const TensorMap& tensors)
    : kernels(set.int8 != nullptr ? set.int8->base : &set) {
  WeightPacker packer(set, tensors, arena);
  add_backbone(packer, config, "", *this);
  packer.add(norm, "norm");
  if (config.num_classes > 0) packer.add(head, "head");
  packer.pack();
}

}  // namespace asmlp
