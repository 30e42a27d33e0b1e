#include "asmlp/engine/weight_packer.h"

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/kernels/int8_kernels.h"

namespace asmlp {

void WeightPacker::add(PackedMatrix& matrix, const std::string& name, int64_t positions) {
  const auto bias = tensors_.find(name + ".bias");
  add(matrix, tensors_.at(name + ".weight"), bias == tensors_.end() ? Tensor() : bias->second,
      positions);
  if (matrices_.back().weight.dtype != DType::kI8) return;
  require(matrix.depth() <= kMaxInt8Depth, ErrorCode::kUnsupported,
          "{}.weight has {} inputs, a quantized layer at most {}", name, matrix.depth(),
          kMaxInt8Depth);
  matrices_.back().quantized = name;
}

void WeightPacker::add_side_by_side(PackedMatrix& matrix, const std::vector<std::string>& names) {
  std::vector<float> weight, bias;
  for (const std::string& name : names) {
    require(tensors_.at(name + ".weight").dtype != DType::kI8, ErrorCode::kUnsupported,
            "{}.weight is quantized, which this layer cannot be", name);
    const std::vector<float> w = to_f32(tensors_.at(name + ".weight"));
    const std::vector<float> b = to_f32(tensors_.at(name + ".bias"));
    weight.insert(weight.end(), w.begin(), w.end());
    bias.insert(bias.end(), b.begin(), b.end());
  }
  const auto cols = static_cast<int64_t>(bias.size());
  const auto depth = static_cast<int64_t>(weight.size()) / cols;
  add(matrix, make_tensor({cols, depth}, std::move(weight)), make_tensor({cols}, std::move(bias)));
}

void WeightPacker::add(PackedMatrix& matrix, Tensor weight, Tensor bias, int64_t positions) {
  const int64_t cols = weight.shape[0], depth = element_count(weight.shape) / cols;
  const bool base = kernels_.int8 != nullptr && weight.dtype != DType::kI8;
  matrix = PackedMatrix(base ? *kernels_.int8->base : kernels_, cols, depth);
  matrices_.push_back({&matrix, std::move(weight), std::move(bias), positions, nullptr, ""});
}

void WeightPacker::add(PackedNorm& norm, const std::string& name) {
  add(norm.gamma, name + ".weight");
  add(norm.beta, name + ".bias");
}

void WeightPacker::add(float*& values, const std::string& name) {
  const Tensor& tensor = tensors_.at(name);
  arena_.reserve(values, element_count(tensor.shape));
  vectors_.push_back({&values, &tensor});
}

void WeightPacker::pack() {
  for (MatrixJob& job : matrices_) arena_.reserve(job.memory, job.matrix->bytes());
  arena_.allocate();
  for (const VectorJob& job : vectors_) {
    const std::vector<float> values = to_f32(*job.tensor);
    std::copy(values.begin(), values.end(), *job.target);
  }
  ThreadPool pool;
  for (MatrixJob& job : matrices_) {
    job.matrix->place(job.memory);
    if (!job.quantized.empty()) pack_scales(*job.matrix, job.quantized);
    if (!job.bias.bytes.empty()) job.matrix->pack_bias(to_f32(job.bias));
    pool.run(static_cast<int>(job.matrix->panels()),
             [&](int panel, int) { job.matrix->pack_panel(job.weight, panel, job.positions); });
    release_pages(job.weight);
    job.weight = Tensor();  // one that was made for this is given back
  }
}

void WeightPacker::pack_scales(PackedMatrix& matrix, const std::string& name) const {
  const float zero_point = to_f32(tensors_.at(name + ".input_zero_point"))[0];
  matrix.pack_scales(to_f32(tensors_.at(name + ".weight_scale")),
                     to_f32(tensors_.at(name + ".input_scale"))[0],
                     static_cast<int32_t>(zero_point));
}

}  // namespace asmlp
