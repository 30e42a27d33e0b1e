// The JSON header of a safetensors file. Inside the weights layer only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "asmlp/core/tensor.h"

namespace asmlp {

struct HeaderEntry {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  uint64_t begin = 0;  // data_offsets, relative to the first byte after the header
  uint64_t end = 0;
};

struct Header {
  std::vector<HeaderEntry> entries;
  std::map<std::string, std::string> metadata;
};

// Parses the header as a stream of events: no tree is built and nesting beyond what the format
// knows is refused, so memory stays proportional to the text. Offsets are not checked here. Errors:
// kBadFormat; kUnsupported for a known dtype that DType cannot hold.
Header parse_safetensors_header(std::string_view text, const std::string& what);

}  // namespace asmlp
