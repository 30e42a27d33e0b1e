#include "asmlp/core/tensor.h"

#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cstring>

#include "asmlp/core/error.h"

namespace asmlp {

size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kF64:
    case DType::kI64:
      return 8;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF16:
    case DType::kBF16:
    case DType::kI16:
      return 2;
    case DType::kI8:
    case DType::kU8:
    case DType::kBool:
      return 1;
  }
  return 0;
}

const char* to_string(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return "F64";
    case DType::kF32:
      return "F32";
    case DType::kF16:
      return "F16";
    case DType::kBF16:
      return "BF16";
    case DType::kI64:
      return "I64";
    case DType::kI32:
      return "I32";
    case DType::kI16:
      return "I16";
    case DType::kI8:
      return "I8";
    case DType::kU8:
      return "U8";
    case DType::kBool:
      return "BOOL";
  }
  return "?";
}

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t extent : shape) {
    require(extent >= 0, ErrorCode::kInvalidArgument, "negative extent in shape {}",
            to_string(shape));
    if (extent == 0) {
      empty = true;
      continue;
    }
    // The non-zero extents must not overflow even when another one is zero.
    require(!__builtin_mul_overflow(count, extent, &count), ErrorCode::kTooLarge,
            "shape {} has more than 2^63 elements", to_string(shape));
  }
  return empty ? 0 : count;
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Tensor make_tensor(Shape shape, std::vector<float> values) {
  require(element_count(shape) == static_cast<int64_t>(values.size()), ErrorCode::kMismatch,
          "shape {} needs {} values, got {}", to_string(shape), element_count(shape),
          values.size());
  auto owner = std::make_shared<const std::vector<float>>(std::move(values));
  Tensor tensor;
  tensor.shape = std::move(shape);
  tensor.bytes = std::as_bytes(std::span(*owner));
  tensor.owner = std::move(owner);
  return tensor;
}

float f16_to_f32(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24 is exact in fp32
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
  return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

uint16_t f32_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value), magnitude = bits & 0x7fffffffu;
  const uint32_t sign = (bits >> 16) & 0x8000u;
  uint32_t half = 0;
  if (magnitude > 0x7f800000u) {  // NaN
    half = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  } else if (magnitude >= 0x477ff000u) {  // from 65520, half way to what would be 2^16
    half = 0x7c00u;
  } else if (magnitude < 0x38800000u) {
    // Below 2^-14 halves are multiples of 2^-24, which is the last place of fp32 numbers at 0.5:
    // the sum rounds.
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  } else {
    half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  }
  return static_cast<uint16_t>(sign | half);
}

void release_pages(const Tensor& tensor) {
  if (!tensor.mapped) return;
  // Whole pages only: the first and the last may hold a part of a neighbor.
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(tensor.bytes.data());
  const uintptr_t first = (begin + page - 1) / page * page;
  const uintptr_t last = (begin + tensor.bytes.size()) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

namespace {

// The elements may be unaligned in a mapped file: every one is read through memcpy.
template <typename Stored, typename Convert>
void convert_all(const Tensor& tensor, std::vector<float>& out, Convert convert) {
  const std::byte* source = tensor.bytes.data();
  for (float& value : out) {
    Stored stored;
    std::memcpy(&stored, source, sizeof stored);
    source += sizeof stored;
    value = convert(stored);
  }
}

}  // namespace

std::vector<float> to_f32(const Tensor& tensor) {
  const auto count = static_cast<size_t>(element_count(tensor.shape));
  require(tensor.bytes.size() / size_of(tensor.dtype) == count &&
              tensor.bytes.size() % size_of(tensor.dtype) == 0,
          ErrorCode::kMismatch, "a {} tensor of shape {} cannot have {} bytes",
          to_string(tensor.dtype), to_string(tensor.shape), tensor.bytes.size());
  std::vector<float> out(count);
  const auto as_float = [](auto value) { return static_cast<float>(value); };
  switch (tensor.dtype) {
    case DType::kF32:
      if (count > 0) std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
      break;
    case DType::kF64:
      convert_all<double>(tensor, out, as_float);
      break;
    case DType::kF16:
      convert_all<uint16_t>(tensor, out, f16_to_f32);
      break;
    case DType::kBF16:
      convert_all<uint16_t>(tensor, out, bf16_to_f32);
      break;
    case DType::kI64:
      convert_all<int64_t>(tensor, out, as_float);
      break;
    case DType::kI32:
      convert_all<int32_t>(tensor, out, as_float);
      break;
    case DType::kI16:
      convert_all<int16_t>(tensor, out, as_float);
      break;
    case DType::kI8:
      convert_all<int8_t>(tensor, out, as_float);
      break;
    case DType::kU8:
      convert_all<uint8_t>(tensor, out, as_float);
      break;
    case DType::kBool:
      convert_all<uint8_t>(tensor, out, [](uint8_t value) { return value != 0 ? 1.0f : 0.0f; });
      break;
  }
  return out;
}

}  // namespace asmlp
