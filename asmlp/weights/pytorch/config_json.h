// Values of a pickle as JSON. Inside the weights layer only.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "asmlp/weights/pytorch/pickle.h"

namespace asmlp {

// Plain values only: what has no counterpart in JSON is left out. Shared values make a graph of the
// tree: limits of depth (24) and number (100,000 for all calls) end cycles and exponential growth.
// Error(kBadFormat) for more values.
class ConfigWriter {
 public:
  ConfigWriter(const Pickle& pickle, const std::string& what) : pickle_(pickle), what_(what) {}
  nlohmann::json convert(const PickleValue& value, int depth = 0);

 private:
  static constexpr int kMaxDepth = 24;
  static constexpr size_t kMaxText = 4096;
  const Pickle& pickle_;
  const std::string& what_;
  size_t values_ = 0;
};

}  // namespace asmlp
