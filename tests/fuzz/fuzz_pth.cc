// Any bytes are a PyTorch checkpoint or an asmlp::Error; nothing is executed. Checksums are off, or
// the fuzzer would never get behind them.
#include <cstdint>

#include "asmlp/core/error.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/pth_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto bytes = std::as_bytes(std::span(data, size));
    const asmlp::PthFile file = asmlp::parse_pth(bytes, "fuzz", asmlp::Checksums::kIgnore);
    for (const auto& [name, tensor] : file.tensors) asmlp::to_f32(tensor);
    asmlp::infer_config(file.tensors, {}, "fuzz");
  } catch (const asmlp::Error&) {
  }
  return 0;
}
