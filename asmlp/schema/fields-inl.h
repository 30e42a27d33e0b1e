// The templates of fields.h.
#pragma once

#include "asmlp/schema/fields.h"

namespace asmlp {

template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <typename T>
struct IsVector : std::false_type {};
template <typename T>
struct IsVector<std::vector<T>> : std::true_type {};
template <typename T, size_t N>
struct IsVector<std::array<T, N>> : std::true_type {};

template <typename T>
nlohmann::ordered_json fields_to_json(const T& value) {
  using nlohmann::ordered_json;
  if constexpr (HasCodec<T>) {
    return Codec<T>::write(value);
  } else if constexpr (Fields<const T>) {
    auto json = ordered_json::object();
    T::visit(value, [&](const char* name, auto&& field, const FieldInfo& = {}) {
      json[name] = fields_to_json(field);
    });
    return json;
  } else if constexpr (NamedEnum<T>) {
    return name_of(value);
  } else if constexpr (IsOptional<T>::value) {
    return value ? fields_to_json(*value) : ordered_json();
  } else if constexpr (IsVector<T>::value) {
    auto json = ordered_json::array();
    for (const auto& item : value) json.push_back(fields_to_json(item));
    return json;
  } else if constexpr (std::is_same_v<T, float>) {
    return shortest(value);
  } else {
    return value;
  }
}

template <NamedEnum T>
T value_named(const std::string& name, const std::string& where) {
  T value{};
  read_json(nlohmann::json(name), value, where);
  return value;
}

template <NamedEnum T>
void read_json(const nlohmann::json& json, T& value, const std::string& where) {
  std::string names;
  for (const auto& [candidate, name] : names_of(value)) {
    if (json.is_string() && json == name) {
      value = candidate;
      return;
    }
    names += (names.empty() ? "'" : ", '") + std::string(name) + "'";
  }
  refuse_value(json, where, "one of " + names);
}

template <typename T>
requires(!HasCodec<std::optional<T>>) void read_json(const nlohmann::json& json,
                                                     std::optional<T>& value,
                                                     const std::string& where) {
  if (json.is_null()) {
    value.reset();
  } else {
    read_json(json, value.emplace(), where);
  }
}

// The list replaces the former one; every element starts from the type's defaults.
template <typename T>
void read_json(const nlohmann::json& json, std::vector<T>& values, const std::string& where) {
  if (!json.is_array()) refuse_value(json, where, list_of<T>());
  values.assign(json.size(), T());
  for (size_t i = 0; i < json.size(); ++i) {
    read_json(json[i], values[i], where + "[" + std::to_string(i) + "]");
  }
}

template <typename T, size_t N>
void read_json(const nlohmann::json& json, std::array<T, N>& values, const std::string& where) {
  if (!json.is_array() || json.size() != N) {
    refuse_value(json, where, std::string(list_of<T>()) + " of " + std::to_string(N));
  }
  for (size_t i = 0; i < N; ++i) {
    read_json(json[i], values[i], where + "[" + std::to_string(i) + "]");
  }
}

template <HasCodec T>
void read_json(const nlohmann::json& json, T& value, const std::string& where) {
  Codec<T>::read(json, value, where);
}

// Changes the fields that `json` names and leaves the others.
template <Fields T>
void read_json(const nlohmann::json& json, T& value, const std::string& where) {
  require_object(json, where);
  std::vector<std::string> known;
  T::visit(value, [&](const char* name, auto&& field, const FieldInfo& info = {}) {
    known.emplace_back(name);
    if (info.alias != nullptr) known.emplace_back(info.alias);
    if (const nlohmann::json* found = find_field(json, name, info, where)) {
      read_json(*found, field, where + ": " + name);
    }
  });
  check_keys(json, known, where);
}

template <typename T>
void check_ranges(const T& value, const char* where, const std::string& path,
                  const FieldInfo& info) {
  if constexpr (Number<T>) {
    check_range(path.c_str(), static_cast<double>(value), info, where);
  } else if constexpr (IsOptional<T>::value) {
    if (value) check_ranges(*value, where, path, info);
  } else if constexpr (IsVector<T>::value) {
    for (size_t i = 0; i < value.size(); ++i) {
      const bool one = Number<std::remove_cvref_t<decltype(value[i])>>;
      check_ranges(value[i], where, one ? path : path + "[" + std::to_string(i) + "]", info);
    }
  } else if constexpr (requires { value.value; } && HasCodec<T>) {
    check_ranges(value.value, where, path, info);  // a view
  } else if constexpr (Fields<const T>) {
    T::visit(value, [&](const char* name, auto&& field, const FieldInfo& own = {}) {
      check_ranges(field, where, path.empty() ? name : path + "." + name, own);
    });
  }
}

}  // namespace asmlp
