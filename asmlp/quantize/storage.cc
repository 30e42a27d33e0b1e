#include "asmlp/quantize/storage.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

bool is_floating(DType dtype) {
  return dtype == DType::kF64 || dtype == DType::kF32 || dtype == DType::kF16 ||
         dtype == DType::kBF16;
}

// A number beyond the range of `dtype`. Infinities that were there are not new.
[[noreturn]] void fail_overflow(const std::string& name, double value, DType dtype) {
  fail(ErrorCode::kUnsupported,
       "'{}' has the value {:g}, too large for {}, which ends at {:g}; use {}", name, value,
       storage_name(dtype), dtype == DType::kF16 ? 65504.0 : 3.3895314e38,
       dtype == DType::kF16 ? "--dtype bf16" : "--dtype fp32");
}

Tensor narrowed(const std::string& name, const Tensor& tensor, DType dtype) {
  const std::vector<float> values = to_f32(tensor);
  auto halves = std::make_shared<std::vector<uint16_t>>(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t half = dtype == DType::kF16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
    const float back = dtype == DType::kF16 ? f16_to_f32(half) : bf16_to_f32(half);
    if (std::isinf(back) && std::isfinite(values[i])) fail_overflow(name, values[i], dtype);
    (*halves)[i] = half;
  }
  Tensor result;
  result.dtype = dtype;
  result.shape = tensor.shape;
  result.bytes = std::as_bytes(std::span(std::as_const(*halves)));
  result.owner = std::move(halves);
  return result;
}

Tensor widened(const std::string& name, const Tensor& tensor) {
  std::vector<float> values = to_f32(tensor);
  if (tensor.dtype == DType::kF64) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (!std::isinf(values[i])) continue;
      double value = 0;
      std::memcpy(&value, tensor.bytes.data() + i * sizeof value, sizeof value);
      if (std::isfinite(value)) {
        fail(ErrorCode::kUnsupported, "'{}' has the value {:g}, too large for fp32", name, value);
      }
    }
  }
  return make_tensor(tensor.shape, std::move(values));
}

}  // namespace

const char* storage_name(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return "fp64";
    case DType::kF32:
      return "fp32";
    case DType::kF16:
      return "fp16";
    case DType::kBF16:
      return "bf16";
    case DType::kI64:
      return "int64";
    case DType::kI32:
      return "int32";
    case DType::kI16:
      return "int16";
    case DType::kI8:
      return "int8";
    case DType::kU8:
      return "uint8";
    case DType::kBool:
      return "bool";
  }
  return "?";
}

TensorMap stored_as(const TensorMap& tensors, DType dtype) {
  require(dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16,
          ErrorCode::kInvalidArgument, "weights are stored in fp32, bf16, or fp16, not in {}",
          storage_name(dtype));
  TensorMap result = tensors;
  for (auto& [name, tensor] : result) {
    const bool vector = tensor.shape.size() < 2;
    if (!is_floating(tensor.dtype) || tensor.dtype == dtype) continue;
    if (vector && dtype != DType::kF32) continue;
    Tensor stored = dtype == DType::kF32 ? widened(name, tensor) : narrowed(name, tensor, dtype);
    release_pages(tensor);
    tensor = std::move(stored);
  }
  return result;
}

std::vector<StorageShare> storage_shares(const TensorMap& tensors) {
  std::map<DType, StorageShare> shares;
  for (const auto& [name, tensor] : tensors) {
    StorageShare& share =
        shares.try_emplace(tensor.dtype, StorageShare{tensor.dtype}).first->second;
    share.elements += element_count(tensor.shape);
    share.bytes += static_cast<int64_t>(tensor.bytes.size());
  }
  std::vector<StorageShare> list;
  for (const auto& [dtype, share] : shares) list.push_back(share);
  std::ranges::stable_sort(list, std::greater(), &StorageShare::bytes);
  return list;
}

}  // namespace asmlp
