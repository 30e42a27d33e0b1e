#include "asmlp/weights/finite.h"

#include <cstdint>
#include <cstring>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

// A number is finite unless all bits of its exponent are set. The elements may be unaligned.
template <typename Bits>
int64_t count_with(const Tensor& tensor, Bits exponent) {
  int64_t count = 0;
  const size_t elements = tensor.bytes.size() / sizeof(Bits);
  for (size_t i = 0; i < elements; ++i) {
    Bits bits;
    std::memcpy(&bits, tensor.bytes.data() + i * sizeof bits, sizeof bits);
    count += (bits & exponent) == exponent ? 1 : 0;
  }
  return count;
}

int64_t count_non_finite(const Tensor& tensor) {
  switch (tensor.dtype) {
    case DType::kF64:
      return count_with<uint64_t>(tensor, 0x7ff0000000000000u);
    case DType::kF32:
      return count_with<uint32_t>(tensor, 0x7f800000u);
    case DType::kF16:
      return count_with<uint16_t>(tensor, 0x7c00u);
    case DType::kBF16:
      return count_with<uint16_t>(tensor, 0x7f80u);
    default:
      return 0;  // integers
  }
}

}  // namespace

std::string non_finite_values(const TensorMap& tensors) {
  std::string first;
  int64_t all = 0, of = 0, in_first = 0, affected = 0;
  for (const auto& [name, tensor] : tensors) {
    const int64_t count = count_non_finite(tensor);
    release_pages(tensor);
    all += count;
    if (count == 0) continue;
    ++affected;
    if (!first.empty()) continue;
    first = name;
    in_first = count;
    of = element_count(tensor.shape);
  }
  if (all == 0) return "";
  std::string text = fmt::format(
      "the weights are not finite: '{}' has {} of {} values that are NaN "
      "or infinite",
      first.substr(0, 200), in_first, of);
  if (affected > 1)
    text += fmt::format("; in all {} in {} of {} tensors", all, affected, tensors.size());
  return text;
}

void require_finite(const TensorMap& tensors, const std::string& what) {
  const std::string problem = non_finite_values(tensors);
  require(problem.empty(), ErrorCode::kBadFormat,
          "{}: {}. Did the training diverge? Take an earlier checkpoint", what, problem);
}

}  // namespace asmlp
