// Text to a JSON value, hostile input refused early; YAML: yaml.h.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace asmlp {

// Largest accepted text and deepest nesting. Class names of ImageNet-21k take 0.5 MB.
inline constexpr size_t kMaxJsonBytes = size_t{16} << 20;
inline constexpr int kMaxTextDepth = 16;
inline constexpr size_t kMaxTextValues = size_t{1} << 18;  // in YAML after aliases are expanded

// What a parser would make of JSON text, found without parsing it (1 GB/s): a value takes 16 bytes
// and more, a level of nesting 50 ns, whatever the text says.
struct JsonSize {
  size_t depth = 0;   // of lists and objects
  size_t values = 0;  // at most
};
JsonSize json_size(std::string_view text);

// Whether text of foreign origin may be parsed: at most 64 levels and 2^18 values. What is no JSON
// may pass.
bool is_parsable_json(std::string_view text);

// At most 80 bytes of foreign text, for messages.
std::string excerpt(const std::string& text);

// Strict JSON without duplicate keys. Errors: kTooLarge, kInvalidArgument naming `what` and the
// position.
nlohmann::json json_from_text(const std::string& text, const std::string& what);

// A .json, .yaml or .yml file. Error(kInvalidArgument) for another extension, read_file's errors.
nlohmann::json json_from_file(const std::filesystem::path& path);

// True for the extensions of json_from_file, but not for *.index.json, the index of sharded
// weights.
bool is_json_or_yaml(const std::filesystem::path& path);

}  // namespace asmlp
