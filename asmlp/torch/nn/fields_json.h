// Plain structs as JSON. A struct lists its fields once, in
//   static void visit(auto& self, auto&& field) { field("name", self.name); ... }
// which serves writing, reading and messages; an enum lists its names in
//   constexpr auto names_of(Enum) { return std::array{std::pair{Enum::kA, "a"}, ...}; }
// For the source files that read and write descriptions; others need no JSON.
#pragma once

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/model/config.h"

namespace asmlp::nn {

// A field that is an AS-MLP without head: the "config" object of model/spec.h without num_classes.
// Reading changes the given fields only; "shift_size" must be among them, because weights do not
// show it and nobody should have to guess it. Only the names that writing gives are read.
nlohmann::ordered_json backbone_to_json(const Config& config);
void read_json(const nlohmann::json& json, Config& config, const std::string& where);

// Fields of plain types. Error(kInvalidArgument) naming `where` and what was found. 7.0 is an
// integer.
void read_json(const nlohmann::json& json, bool& value, const std::string& where);
void read_json(const nlohmann::json& json, int& value, const std::string& where);
void read_json(const nlohmann::json& json, double& value, const std::string& where);
void read_json(const nlohmann::json& json, std::string& value, const std::string& where);
void read_json(const nlohmann::json& json, std::map<std::string, std::string>& value,
               const std::string& where);

void require_object(const nlohmann::json& json, const std::string& where);
[[noreturn]] void refuse_value(const nlohmann::json& json, const std::string& where,
                               const std::string& expected);
// Error(kInvalidArgument) when `json` has a key that is not in `known`, suggesting the nearest.
void check_keys(const nlohmann::json& json, const std::vector<std::string>& known,
                const std::string& where);

struct AnyField {
  void operator()(const char*, const auto&) const {}
};
template <typename T>
concept Fields = requires(T& value) {
  T::visit(value, AnyField{});
};
template <typename T>
concept NamedEnum = requires(T value) {
  names_of(value);
};

template <NamedEnum T>
const char* name_of(T value) {
  for (const auto& [candidate, name] : names_of(value)) {
    if (candidate == value) return name;
  }
  return "?";
}

template <Fields T>
nlohmann::ordered_json fields_to_json(const std::vector<T>& values);
template <Fields T>
void read_json(const nlohmann::json& json, T& value, const std::string& where);
template <typename T>
void read_json(const nlohmann::json& json, std::vector<T>& values, const std::string& where);

template <typename T>
nlohmann::ordered_json fields_to_json(const T& value) {
  if constexpr (std::is_same_v<T, Config>) {
    return backbone_to_json(value);
  } else if constexpr (Fields<const T>) {
    auto json = nlohmann::ordered_json::object();
    T::visit(value,
             [&](const char* name, const auto& field) { json[name] = fields_to_json(field); });
    return json;
  } else if constexpr (NamedEnum<T>) {
    return name_of(value);
  } else {
    return value;
  }
}
template <Fields T>
nlohmann::ordered_json fields_to_json(const std::vector<T>& values) {
  auto json = nlohmann::ordered_json::array();
  for (const T& value : values) json.push_back(fields_to_json(value));
  return json;
}

template <NamedEnum T>
void read_json(const nlohmann::json& json, T& value, const std::string& where) {
  std::string text, names;
  for (const auto& [candidate, name] : names_of(value)) {
    if (json.is_string() && json == name) {
      value = candidate;
      return;
    }
    names += (names.empty() ? "'" : ", '") + std::string(name) + "'";
  }
  refuse_value(json, where, "one of " + names);
}

// Changes the fields that `json` names and leaves the others.
template <Fields T>
void read_json(const nlohmann::json& json, T& value, const std::string& where) {
  require_object(json, where);
  std::vector<std::string> known;
  T::visit(value, [&](const char* name, auto& field) {
    known.emplace_back(name);
    if (json.contains(name)) read_json(json[name], field, where + ": " + name);
  });
  check_keys(json, known, where);
}

// The list replaces the former one; every element starts from the type's defaults.
template <typename T>
void read_json(const nlohmann::json& json, std::vector<T>& values, const std::string& where) {
  if (!json.is_array()) refuse_value(json, where, "a list");
  values.assign(json.size(), T());
  for (size_t i = 0; i < json.size(); ++i) {
    read_json(json[i], values[i], where + "[" + std::to_string(i) + "]");
  }
}

}  // namespace asmlp::nn
