#include "asmlp/engine/packed_weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/kernels/int8_kernels.h"

namespace asmlp {
namespace {

// Takes tensors by name: first every shape, then the memory, then the values.
class Packer {
 public:
  Packer(const KernelSet& kernels, const TensorMap& tensors, Arena& arena)
      : kernels_(kernels), tensors_(tensors), arena_(arena) {}

  // A convolution or linear layer [cols, ...]: everything behind the first extent is the depth.
  void add(PackedMatrix& matrix, const std::string& name, bool with_bias = true) {
    const Tensor& weight = tensors_.at(name + ".weight");
    const int64_t cols = weight.shape[0], depth = element_count(weight.shape) / cols;
    const bool quantized = weight.dtype == DType::kI8;
    require(!quantized || depth <= kMaxInt8Depth, ErrorCode::kUnsupported,
            "{}.weight has {} inputs, a quantized layer at most {}", name, depth, kMaxInt8Depth);
    matrix = PackedMatrix(quantized ? kernels_ : base(), cols, depth);
    const Tensor* bias = with_bias ? &tensors_.at(name + ".bias") : nullptr;
    matrices_.push_back({&matrix, &weight, bias, nullptr, quantized ? name : ""});
  }

  void add(PackedNorm& norm, const std::string& name) {
    for (const char* part : {".weight", ".bias"}) {
      const Tensor& tensor = tensors_.at(name + part);
      float*& target = part[1] == 'w' ? norm.gamma : norm.beta;
      arena_.reserve(target, element_count(tensor.shape));
      vectors_.push_back({&target, &tensor});
    }
  }

  void add(PackedBlock& block, const std::string& name) {
    add(block.norm1, name + "norm1");
    add(block.conv1, name + "axial_shift.conv1");
    add(block.shift_norm1, name + "axial_shift.norm1");
    add(block.conv2_1, name + "axial_shift.conv2_1");
    add(block.conv2_2, name + "axial_shift.conv2_2");
    add(block.shift_norm2, name + "axial_shift.norm2");
    add(block.conv3, name + "axial_shift.conv3");
    add(block.norm2, name + "norm2");
    add(block.fc1, name + "mlp.fc1");
    add(block.fc2, name + "mlp.fc2");
  }

  void pack() {
    for (MatrixJob& job : matrices_) arena_.reserve(job.memory, job.matrix->bytes());
    arena_.allocate();
    for (const VectorJob& job : vectors_) {
      const std::vector<float> values = to_f32(*job.tensor);
      std::copy(values.begin(), values.end(), *job.target);
    }
    ThreadPool pool;
    for (const MatrixJob& job : matrices_) {
      job.matrix->place(job.memory);
      if (!job.quantized.empty()) pack_scales(*job.matrix, job.quantized);
      if (job.bias != nullptr) job.matrix->pack_bias(to_f32(*job.bias));
      pool.run(static_cast<int>(job.matrix->panels()),
               [&](int panel, int) { job.matrix->pack_panel(*job.weight, panel); });
      release_pages(*job.weight);
    }
  }

 private:
  const KernelSet& base() const {
    return kernels_.int8 != nullptr ? *kernels_.int8->base : kernels_;
  }

  void pack_scales(PackedMatrix& matrix, const std::string& name) const {
    const float zero_point = to_f32(tensors_.at(name + ".input_zero_point"))[0];
    matrix.pack_scales(to_f32(tensors_.at(name + ".weight_scale")),
                       to_f32(tensors_.at(name + ".input_scale"))[0],
                       static_cast<int32_t>(zero_point));
  }

  struct MatrixJob {
    PackedMatrix* matrix;
    const Tensor* weight;
    const Tensor* bias;
    std::byte* memory;
    std::string quantized;  // the layer's name, for its scales
  };
  struct VectorJob {
    float** target;
    const Tensor* tensor;
  };
  const KernelSet& kernels_;
  const TensorMap& tensors_;
  Arena& arena_;
  std::vector<MatrixJob> matrices_;
  std::vector<VectorJob> vectors_;
};

}  // namespace

PackedWeights::PackedWeights(const KernelSet& set, const Config& config, const TensorMap& tensors)
    : kernels(set.int8 != nullptr ? set.int8->base : &set), stages(config.num_stages()) {
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    stages[stage].blocks.resize(config.depths[stage]);  // nothing may move from here on
  }
  Packer packer(set, tensors, arena);
  packer.add(patch_embed, "patch_embed.proj");
  if (config.patch_norm) packer.add(patch_norm, "patch_embed.norm");
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    const std::string layer = fmt::format("layers.{}.", stage);
    for (int i = 0; i < config.depths[stage]; ++i) {
      packer.add(stages[stage].blocks[i], fmt::format("{}blocks.{}.", layer, i));
    }
    if (stage + 1 < config.num_stages()) {
      packer.add(stages[stage].merge_norm, layer + "downsample.norm");
      packer.add(stages[stage].reduction, layer + "downsample.reduction", /*with_bias=*/false);
    }
  }
  packer.add(norm, "norm");
  if (config.num_classes > 0) packer.add(head, "head");
  packer.pack();
}

}  // namespace asmlp
