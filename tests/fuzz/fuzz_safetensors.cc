// Any bytes are a safetensors file or an asmlp::Error; what was read can be described.
#include <cstdint>

#include "asmlp/core/error.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/quantized.h"
#include "asmlp/weights/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto bytes = std::as_bytes(std::span(data, size));
    const asmlp::TensorFile file = asmlp::parse_safetensors(bytes, nullptr, "fuzz");
    unsigned sum = 0;
    for (const auto& [name, tensor] : file.tensors) {
      for (std::byte byte : tensor.bytes) sum += std::to_integer<unsigned>(byte);
      asmlp::element_count(tensor.shape);
    }
    volatile unsigned sink = sum;  // every byte must be readable
    static_cast<void>(sink);
    const asmlp::Config config = asmlp::infer_config(file.tensors, {}, "fuzz");
    asmlp::check_parameters(config, file.tensors, "fuzz");
    asmlp::dequantized(file.tensors);
  } catch (const asmlp::Error&) {
  }
  return 0;
}
