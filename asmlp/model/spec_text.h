// Text to a JSON value for specs: JSON and YAML by one path, hostile input refused early.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace asmlp {

// Largest accepted text and deepest nesting. Class names of ImageNet-21k take 0.5 MB.
inline constexpr size_t kMaxSpecBytes = size_t{16} << 20;
inline constexpr size_t kMaxYamlBytes = size_t{2} << 20;
inline constexpr int kMaxSpecDepth = 16;
inline constexpr size_t kMaxYamlValues = size_t{1} << 18;  // after aliases are expanded

// At most 80 bytes of foreign text, for messages.
std::string excerpt(const std::string& text);

// Strict JSON without duplicate keys. Errors: kTooLarge, kInvalidArgument naming `what` and the
// position.
nlohmann::json json_from_text(const std::string& text, const std::string& what);

// The same value from YAML (one document; scalars by the core schema, quoted ones stay strings).
nlohmann::json json_from_yaml(const std::string& text, const std::string& what);

}  // namespace asmlp
