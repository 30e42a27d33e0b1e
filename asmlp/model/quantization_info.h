// Where the int8 layers of a file come from.
#pragma once

#include <string>
#include <vector>

#include "asmlp/schema/fields.h"

namespace asmlp {

// How the int8 layers of a file came about (`asmlp quantize`). Which they are, the file's tensors
// say (weights/quantized.h).
struct QuantizationInfo {
  std::string source;      // name of the file with the floating point weights
  std::string method;      // how the inputs' ranges were chosen, in words
  int images = 0;          // calibrated on
  int held_out = 0;        // other images, on which the two numbers below were measured
  double error = 0;        // of the outputs: see asmlp/quantize/measure.h
  double agreement = 0;    // share of the images whose first class is that of the fp32 model
  bool equalized = false;  // whether scales were moved from the norms into the weights
  std::vector<std::string> fp32_layers;  // layers left in fp32, because of the error or by wish
  bool operator==(const QuantizationInfo&) const = default;
  static void visit(auto& self, auto&& field) {
    field("source", self.source);
    field("method", self.method);
    field("images", self.images, FieldInfo{.low = 0, .high = 1 << 30});
    field("held_out", self.held_out, FieldInfo{.low = 0, .high = 1 << 30});
    field("error", self.error, FieldInfo{.low = 0, .high = 1e30});
    field("agreement", self.agreement, FieldInfo{.low = 0, .high = 1});
    field("equalized", self.equalized);
    field("fp32_layers", self.fp32_layers);
  }
};

}  // namespace asmlp
