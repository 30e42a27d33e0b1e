#include "asmlp/torch/nn/fields_json.h"

#include <cmath>
#include <limits>

#include "asmlp/model/spec.h"
#include "asmlp/model/spec_text.h"
#include "asmlp/model/zoo.h"
#include "asmlp/torch/nn/dense_spec.h"

namespace asmlp::nn {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

void refuse_value(const Json& json, const std::string& where, const std::string& expected) {
  fail(ErrorCode::kInvalidArgument, "{} must be {}, found {}", where, expected,
       excerpt(text_of(json)));
}

void require_object(const Json& json, const std::string& where) {
  if (!json.is_object()) refuse_value(json, where, "an object");
}

void check_keys(const Json& json, const std::vector<std::string>& known, const std::string& where) {
  for (const auto& [key, value] : json.items()) {
    require(std::find(known.begin(), known.end(), key) != known.end(), ErrorCode::kInvalidArgument,
            "{}: unknown key '{}'; did you mean '{}'?", where, excerpt(key),
            nearest(excerpt(key), known));
  }
}

void read_json(const Json& json, bool& value, const std::string& where) {
  if (!json.is_boolean()) refuse_value(json, where, "true or false");
  value = json.get<bool>();
}

void read_json(const Json& json, double& value, const std::string& where) {
  if (!json.is_number()) refuse_value(json, where, "a number");
  value = json.get<double>();
}

void read_json(const Json& json, int& value, const std::string& where) {
  const double number = json.is_number() ? json.get<double>() : NAN;
  if (!(number == std::floor(number)) || std::abs(number) > std::numeric_limits<int>::max()) {
    refuse_value(json, where, "an integer");
  }
  value = static_cast<int>(number);
}

void read_json(const Json& json, std::string& value, const std::string& where) {
  if (!json.is_string()) refuse_value(json, where, "text");
  value = json.get<std::string>();
}

void read_json(const Json& json, std::map<std::string, std::string>& value,
               const std::string& where) {
  require_object(json, where);
  value.clear();
  for (const auto& [key, text] : json.items()) {
    read_json(text, value[key], where + ": " + excerpt(key));
  }
}

nlohmann::ordered_json backbone_to_json(const Config& config) {
  ModelSpec spec;
  spec.config = config;
  auto json = nlohmann::ordered_json::parse(to_json(spec))["config"];
  json.erase("num_classes");
  return json;
}

void read_json(const Json& json, Config& config, const std::string& where) {
  require_object(json, where);
  Json merged = Json::parse(backbone_to_json(config).dump());
  std::vector<std::string> known;
  for (const auto& [key, value] : merged.items()) known.push_back(key);
  check_keys(json, known, where);
  require(json.contains("shift_size"), ErrorCode::kInvalidArgument,
          "{}: shift_size is missing; weights do not show it, so it must be said (the published "
          "models have 5, or 3)",
          where);
  merged.update(json);
  config = without_head(spec_from_json(text_of({{"config", merged}}), where).config);
}

}  // namespace asmlp::nn
