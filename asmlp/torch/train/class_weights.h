// How much the images (or pixels) of each class count in the loss.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "asmlp/schema/codec.h"

namespace asmlp::train {

// As a user gives them. As text: balanced, none, or numbers with commas or spaces between them.
struct ClassWeights {
  enum class Kind {
    kUnset,     // those of the model's config where it has some (segmentors), else none
    kNone,      // 1 each
    kBalanced,  // N / (K n): N samples of K classes that occur, n of the class
    kList,
  };
  Kind kind = Kind::kUnset;
  std::vector<double> list = {};  // of kList
  bool operator==(const ClassWeights&) const = default;
};

// Error(kInvalidArgument) unless the numbers are finite, at least 0, and not all 0.
void validate(const ClassWeights& weights);

// The weight of each of the data's classes; empty for none. `counts` gives the samples of each
// class in training (images, or pixels) and is called for kBalanced only. A class that does not
// occur weighs 1. Error(kInvalidArgument) that says what to do for a list of another length.
std::vector<double> weights_of(const ClassWeights& weights, const std::vector<std::string>& classes,
                               const std::function<std::vector<int64_t>()>& counts);

}  // namespace asmlp::train

namespace asmlp {

// "balanced", "none", a list of numbers, or null.
template <>
struct Codec<train::ClassWeights> {
  static nlohmann::ordered_json write(const train::ClassWeights& value);
  static void read(const nlohmann::json& json, train::ClassWeights& value,
                   const std::string& where);
};

}  // namespace asmlp
