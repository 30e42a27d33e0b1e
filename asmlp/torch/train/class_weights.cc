#include "asmlp/torch/train/class_weights.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "asmlp/core/error.h"
#include "asmlp/schema/fields.h"

namespace asmlp::train {

using Kind = ClassWeights::Kind;

void validate(const ClassWeights& weights) {
  if (weights.kind != Kind::kList) return;
  double largest = 0;
  for (const double weight : weights.list) {
    require(std::isfinite(weight) && weight >= 0, ErrorCode::kInvalidArgument,
            "class-weights has {}, must be numbers of at least 0", weight);
    largest = std::max(largest, weight);
  }
  require(largest > 0, ErrorCode::kInvalidArgument,
          "class-weights are {}: one of them must be above 0",
          weights.list.empty() ? "empty" : "all 0");
}

std::vector<double> weights_of(const ClassWeights& weights, const std::vector<std::string>& classes,
                               const std::function<std::vector<int64_t>()>& counts) {
  if (weights.kind == Kind::kList) {
    require(weights.list.size() == classes.size(), ErrorCode::kInvalidArgument,
            "class-weights are {} numbers, the data set has {} classes ({}): give one per class in "
            "this order, or class-weights balanced or none",
            weights.list.size(), classes.size(), fmt::join(classes, ", "));
    return weights.list;
  }
  if (weights.kind != Kind::kBalanced) return {};
  const std::vector<int64_t> found = counts();
  const auto total = double(std::accumulate(found.begin(), found.end(), int64_t{0}));
  const auto occur = double(std::ranges::count_if(found, [](int64_t n) { return n > 0; }));
  std::vector<double> result;
  for (const int64_t n : found) result.push_back(n > 0 ? total / (occur * double(n)) : 1.0);
  return result;
}

}  // namespace asmlp::train

namespace asmlp {

using train::ClassWeights;

nlohmann::ordered_json Codec<ClassWeights>::write(const ClassWeights& value) {
  switch (value.kind) {
    case ClassWeights::Kind::kNone:
      return "none";
    case ClassWeights::Kind::kBalanced:
      return "balanced";
    case ClassWeights::Kind::kList:
      return value.list;
    case ClassWeights::Kind::kUnset:
      break;
  }
  return nullptr;
}

void Codec<ClassWeights>::read(const nlohmann::json& json, ClassWeights& value,
                               const std::string& where) {
  constexpr const char* kForms = "'balanced', 'none' or a list of numbers, one per class";
  value = {};
  if (json.is_null()) return;
  if (json.is_array()) {
    value.kind = ClassWeights::Kind::kList;
    read_json(json, value.list, where);
    return;
  }
  if (!json.is_string()) refuse_value(json, where, kForms);
  std::string text = json.get<std::string>();
  if (text == "none" || text == "balanced") {
    value.kind = text == "none" ? ClassWeights::Kind::kNone : ClassWeights::Kind::kBalanced;
    return;
  }
  value.kind = ClassWeights::Kind::kList;
  std::ranges::replace(text, ',', ' ');
  for (const char *at = text.data(), *end = at + text.size(); at < end;) {
    if (*at == ' ') {
      ++at;
      continue;
    }
    const auto [stop, error] = std::from_chars(at, end, value.list.emplace_back());
    if (error != std::errc() || (stop < end && *stop != ' ')) refuse_value(json, where, kForms);
    at = stop;
  }
  if (value.list.empty()) refuse_value(json, where, kForms);
}

}  // namespace asmlp
