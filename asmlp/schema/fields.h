// Plain structs as JSON, and through schema/text.h as YAML. A struct lists its fields once, in
//   static void visit(auto& self, auto&& field) {
//     field("embed_dim", self.embed_dim, FieldInfo{.low = 1, .high = 4096});
//     ...
//   }
// which serves reading, writing, messages and the check of ranges. An enum lists its names in
//   constexpr auto names_of(Enum) { return std::array{std::pair{Enum::kA, "a"}, ...}; }
// A type with a form of its own has a Codec. For source files that read and write descriptions;
// the headers of configs need schema/field_info.h only.
#pragma once

#include <array>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/schema/codec.h"
#include "asmlp/schema/field_info.h"
#include "asmlp/schema/range.h"

namespace asmlp {

struct AnyField {
  void operator()(const char*, auto&&, const FieldInfo& = {}) const {}
};
template <typename T>
concept Fields = requires(T& value) {
  std::remove_cvref_t<T>::visit(value, AnyField{});
};
template <typename T>
concept NamedEnum = requires(T value) {
  names_of(value);
};
template <typename T>
concept HasCodec = requires(const T& value) {
  Codec<T>::write(value);
};
template <typename T>
concept Number = std::is_arithmetic_v<T> && !std::is_same_v<T, bool>;

// Error(kInvalidArgument): "<where> must be <expected>, found <json>".
[[noreturn]] void refuse_value(const nlohmann::json& json, const std::string& where,
                               const std::string& expected);
void require_object(const nlohmann::json& json, const std::string& where);
// Error(kInvalidArgument) when `json` has a key that is not in `known`, suggesting the nearest. In
// keys '-' and '_' are the same, here and in find_field.
void check_keys(const nlohmann::json& json, const std::vector<std::string>& known,
                const std::string& where);
// The value of a field under its name or its alias; null when it is not there.
// Error(kInvalidArgument) when it is there twice.
const nlohmann::json* find_field(const nlohmann::json& json, const char* name,
                                 const FieldInfo& info, const std::string& where);

// `key` with '-' for '_'.
std::string with_dashes(std::string key);

// Error(kInvalidArgument) "<where>: <field> is <value>, must be <range>" unless `value` is finite
// and within the range; without "<where>: " where that is "".
void check_range(const char* field, double value, const FieldInfo& info, const char* where);

// Error(kInvalidArgument) "<field> is <low> <high>: the lower value comes first".
template <typename T>
void check_order(const char* field, const std::array<T, 2>& pair) {
  require(pair[0] <= pair[1], ErrorCode::kInvalidArgument,
          "{} is {} {}: the lower value comes first", field, pair[0], pair[1]);
}

// Fields of plain types. 7.0 is an integer; text is never a number.
void read_json(const nlohmann::json& json, bool& value, const std::string& where);
void read_json(const nlohmann::json& json, double& value, const std::string& where);
void read_json(const nlohmann::json& json, float& value, const std::string& where);
void read_json(const nlohmann::json& json, int& value, const std::string& where);
void read_json(const nlohmann::json& json, int64_t& value, const std::string& where);
void read_json(const nlohmann::json& json, uint64_t& value, const std::string& where);
void read_json(const nlohmann::json& json, std::string& value, const std::string& where);
void read_json(const nlohmann::json& json, nlohmann::json& value, const std::string& where);
void read_json(const nlohmann::json& json, std::map<std::string, std::string>& value,
               const std::string& where);

// The shortest decimal that reads back as the same float: 0.485, not 0.48500001430511475.
double shortest(float value);

// "a list of integers", "a list of numbers", ...: what a list of T is called in messages.
template <typename T>
constexpr const char* list_of() {
  return std::is_integral_v<T>            ? "a list of integers"
         : std::is_floating_point_v<T>    ? "a list of numbers"
         : std::is_same_v<T, std::string> ? "a list of names"
                                          : "a list";
}

template <NamedEnum T>
const char* name_of(T value) {
  for (const auto& [candidate, name] : names_of(value)) {
    if (candidate == value) return name;
  }
  return "?";
}

// The value of an enum by its name. Error(kInvalidArgument) that lists the names.
template <NamedEnum T>
T value_named(const std::string& name, const std::string& where);

template <typename T>
nlohmann::ordered_json fields_to_json(const T& value);
template <typename T>
requires(!HasCodec<std::optional<T>>) void read_json(const nlohmann::json& json,
                                                     std::optional<T>& value,
                                                     const std::string& where);
template <typename T>
void read_json(const nlohmann::json& json, std::vector<T>& values, const std::string& where);
template <typename T, size_t N>
void read_json(const nlohmann::json& json, std::array<T, N>& values, const std::string& where);
template <NamedEnum T>
void read_json(const nlohmann::json& json, T& value, const std::string& where);
template <HasCodec T>
void read_json(const nlohmann::json& json, T& value, const std::string& where);
template <Fields T>
void read_json(const nlohmann::json& json, T& value, const std::string& where);

// Error(kInvalidArgument) naming the first number outside its FieldInfo's range, as
// "config: rpn.channels is 0, must be between 1 and 16384" for `where` "config".
template <typename T>
void check_ranges(const T& value, const char* where = "config", const std::string& path = "",
                  const FieldInfo& info = {});

}  // namespace asmlp

#include "asmlp/schema/fields-inl.h"
