// The declaration behind types with a JSON form of their own, for headers that announce one.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace asmlp {

// Specialized for types with a form of their own, and for views of a struct that lives elsewhere:
//   static nlohmann::ordered_json write(const T& value);
//   static void read(const nlohmann::json& json, T& value, const std::string& where);
template <typename T>
struct Codec;

}  // namespace asmlp
