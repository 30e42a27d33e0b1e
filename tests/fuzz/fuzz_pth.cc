// Any bytes are a PyTorch checkpoint or an asmlp::Error; nothing is executed. Checksums are off, or
// the fuzzer would never get behind them.
#include <cstdint>

#include "asmlp/core/error.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/finite.h"
#include "asmlp/weights/pytorch/pth_reader.h"
#include "asmlp/weights/unwrap.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto bytes = std::as_bytes(std::span(data, size));
    asmlp::PthFile file = asmlp::parse_pth(bytes, "fuzz", asmlp::Checksums::kIgnore);
    for (const auto& [name, tensor] : file.tensors) asmlp::to_f32(tensor);
    asmlp::non_finite_values(file.tensors);
    const asmlp::TensorMap tensors = asmlp::unwrapped(std::move(file.tensors), "fuzz", file.notes);
    asmlp::infer_config(tensors, {}, "fuzz");
  } catch (const asmlp::Error&) {
  }
  return 0;
}
