// YAML from and to JSON values, on libyaml.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace asmlp {

// Largest accepted text.
inline constexpr size_t kMaxYamlBytes = size_t{2} << 20;

// One document; scalars by the core schema, without octal and hexadecimal numbers and infinities;
// quoted ones stay strings. Aliases are expanded. Errors: kTooLarge, kInvalidArgument naming
// `what`, the line, and what is wrong there (also a key that is given twice).
nlohmann::json json_from_yaml(const std::string& text, const std::string& what);

// A document of an object: members in their order, lists in one line, strings in quotes.
// json_from_yaml gives the value back.
std::string yaml_from_json(const nlohmann::ordered_json& value);

}  // namespace asmlp
