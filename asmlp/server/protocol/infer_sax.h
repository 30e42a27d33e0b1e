// The JSON of an inference request without a tree of its tensor data, which would take many times
// the memory of the text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace asmlp::server {

// The member "data" of an input: its leaves in row-major order, whatever their nesting.
struct InferData {
  std::vector<float> numbers;
  std::vector<std::string> texts;
};

struct InferJson {
  // An object; a list "data" of inputs[k] is a binary value whose subtype is the index into `data`.
  nlohmann::json root;
  std::vector<InferData> data;
};

// Error(kBadFormat / kTooLarge), as parse_infer.
InferJson read_infer_json(std::string_view text);

}  // namespace asmlp::server
