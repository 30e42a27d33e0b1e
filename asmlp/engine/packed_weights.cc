#include "asmlp/engine/packed_weights.h"

#include <fmt/format.h>

#include <algorithm>

namespace asmlp {
namespace {

// Takes tensors by name and packs them.
class Packer {
 public:
  Packer(const KernelSet& kernels, const TensorMap& tensors)
      : kernels_(kernels), tensors_(tensors) {}

  // A convolution or linear layer [cols, ...]: everything behind the first extent is the depth.
  PackedMatrix matrix(const std::string& name, bool with_bias = true) const {
    const Tensor& weight = tensors_.at(name + ".weight");
    const int64_t cols = weight.shape[0];
    const int64_t depth = element_count(weight.shape) / cols;
    const std::vector<float> bias =
        with_bias ? to_f32(tensors_.at(name + ".bias")) : std::vector<float>();
    return PackedMatrix(kernels_, to_f32(weight), bias, cols, depth);
  }

  PackedNorm norm(const std::string& name) const {
    return {aligned(name + ".weight"), aligned(name + ".bias")};
  }

 private:
  AlignedFloats aligned(const std::string& name) const {
    const std::vector<float> values = to_f32(tensors_.at(name));
    AlignedFloats out(static_cast<int64_t>(values.size()));
    std::copy(values.begin(), values.end(), out.data());
    return out;
  }

  const KernelSet& kernels_;
  const TensorMap& tensors_;
};

PackedBlock pack_block(const Packer& pack, const std::string& block) {
  return {
      .norm1 = pack.norm(block + "norm1"),
      .conv1 = pack.matrix(block + "axial_shift.conv1"),
      .shift_norm1 = pack.norm(block + "axial_shift.norm1"),
      .conv2_1 = pack.matrix(block + "axial_shift.conv2_1"),
      .conv2_2 = pack.matrix(block + "axial_shift.conv2_2"),
      .shift_norm2 = pack.norm(block + "axial_shift.norm2"),
      .conv3 = pack.matrix(block + "axial_shift.conv3"),
      .norm2 = pack.norm(block + "norm2"),
      .fc1 = pack.matrix(block + "mlp.fc1"),
      .fc2 = pack.matrix(block + "mlp.fc2"),
  };
}

}  // namespace

PackedWeights::PackedWeights(const KernelSet& set, const Config& config, const TensorMap& tensors)
    : kernels(&set) {
  const Packer pack(set, tensors);
  patch_embed = pack.matrix("patch_embed.proj");
  if (config.patch_norm) patch_norm = pack.norm("patch_embed.norm");
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    PackedStage packed;
    const std::string layer = fmt::format("layers.{}.", stage);
    for (int i = 0; i < config.depths[stage]; ++i) {
      packed.blocks.push_back(pack_block(pack, fmt::format("{}blocks.{}.", layer, i)));
    }
    if (stage + 1 < config.num_stages()) {
      packed.merge_norm = pack.norm(layer + "downsample.norm");
      packed.reduction = pack.matrix(layer + "downsample.reduction", /*with_bias=*/false);
    }
    stages.push_back(std::move(packed));
  }
  norm = pack.norm("norm");
  if (config.num_classes > 0) head = pack.matrix("head");
}

}  // namespace asmlp
