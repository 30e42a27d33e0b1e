// A read-only tensor of any element type over memory that somebody keeps alive: what weight files
// hold. Row-major, contiguous, little endian. Not a math type: kernels work on plain pointers.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace asmlp {

enum class DType { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

// Bytes of one element.
size_t size_of(DType dtype);
// The safetensors name: "F32", "BF16", "BOOL", ...
const char* to_string(DType dtype);

using Shape = std::vector<int64_t>;

// Product of the extents; 1 for a scalar (empty shape). Throws Error(kTooLarge) on overflow and
// Error(kInvalidArgument) on a negative extent.
int64_t element_count(const Shape& shape);
// "[96, 3, 4, 4]".
std::string to_string(const Shape& shape);

struct Tensor {
  DType dtype = DType::kF32;
  Shape shape;
  std::span<const std::byte> bytes;   // element_count(shape) * size_of(dtype); may be unaligned
  std::shared_ptr<const void> owner;  // keeps `bytes` alive (a mapped file, a vector)
  // `bytes` lie in a read-only mapping of a file, whose pages can be given back (release_pages).
  bool mapped = false;
};

// Named tensors in name order: the content of a weight file.
using TensorMap = std::map<std::string, Tensor>;

// A tensor that owns a copy of `values`; element_count(shape) must equal values.size().
Tensor make_tensor(Shape shape, std::vector<float> values);

// Gives the memory of a mapped tensor back to the system, which reads the file again if the bytes
// are used once more; does nothing for other tensors. For what was read for the last time.
void release_pages(const Tensor& tensor);

// The elements as fp32. F64, F16 and BF16 are converted (round to nearest even), integers and bools
// too.
std::vector<float> to_f32(const Tensor& tensor);

// IEEE half and bfloat16 to fp32, exact.
float f16_to_f32(uint16_t bits);
inline float bf16_to_f32(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// The nearest half, ties to even, as its bits; infinity from 65520 on. A NaN stays a (quiet) NaN.
uint16_t f32_to_f16(float value);
// The nearest bfloat16, ties to even, as its bits. A NaN stays a (quiet) NaN.
inline uint16_t f32_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace asmlp
