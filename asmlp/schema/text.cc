#include "asmlp/schema/text.h"

#include <algorithm>
#include <set>
#include <vector>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/schema/yaml.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;

void check_size(const std::string& text, size_t limit, const std::string& what) {
  require(text.size() <= limit, ErrorCode::kTooLarge, "{}: {} bytes, at most {} are read", what,
          text.size(), limit);
}

bool has_extension_of_weights(const std::string& extension) {
  return extension == ".safetensors" || extension == ".pth" || extension == ".pt" ||
         extension == ".bin" || extension == ".ckpt";
}

}  // namespace

std::string excerpt(const std::string& text) {
  constexpr size_t kLimit = 80;
  return text.size() <= kLimit ? text : text.substr(0, kLimit) + "...";
}

JsonSize json_size(std::string_view text) {
  JsonSize size;
  size_t depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
      case '"':
        for (++i; i < text.size() && text[i] != '"'; ++i) {
          if (text[i] == '\\') ++i;
        }
        break;
      case '[':
      case '{':
        size.depth = std::max(size.depth, ++depth);
        ++size.values;
        break;
      case ']':
      case '}':
        if (depth > 0) --depth;
        break;
      case ',':
        ++size.values;
        break;
      default:
        break;
    }
  }
  ++size.values;
  return size;
}

bool is_parsable_json(std::string_view text) {
  constexpr size_t kMaxDepth = 64, kMaxValues = kMaxTextValues;
  const JsonSize size = json_size(text);
  return size.depth <= kMaxDepth && size.values <= kMaxValues;
}

nlohmann::json json_from_text(const std::string& text, const std::string& what) {
  check_size(text, kMaxJsonBytes, what);
  const JsonSize size = json_size(text);
  require(size.depth <= size_t{kMaxTextDepth} + 1, ErrorCode::kInvalidArgument,
          "{}: nested deeper than {} levels", what, kMaxTextDepth);
  require(size.values <= kMaxTextValues, ErrorCode::kTooLarge,
          "{}: more than {} values; descriptions and options have some hundreds", what,
          kMaxTextValues);
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    require(depth <= kMaxTextDepth, ErrorCode::kInvalidArgument, "{}: nested deeper than {} levels",
            what, kMaxTextDepth);
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      require(keys.back().insert(key).second, ErrorCode::kInvalidArgument,
              "{}: '{}' is given twice", what, excerpt(key));
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::exception& error) {
    fail(ErrorCode::kInvalidArgument, "{}: not valid JSON: {}", what, excerpt(error.what()));
  }
}

bool is_json_or_yaml(const std::filesystem::path& path) {
  // The index of a model in several files (weights/shards.h) describes nothing.
  if (path.filename().string().ends_with(".index.json")) return false;
  const std::string extension = path.extension().string();
  if (extension == ".json" || extension == ".yaml" || extension == ".yml") return true;
  // A pipe has no extension: text in it is a description, weights are no text.
  if (has_extension_of_weights(extension)) return false;
  const std::string begin = piped_beginning(path, 256);
  return !begin.empty() && !begin.starts_with("PK") && begin.find('\0') == std::string::npos &&
         static_cast<unsigned char>(begin[0]) != 0x80;
}

nlohmann::json json_from_file(const std::filesystem::path& path) {
  require(is_json_or_yaml(path), ErrorCode::kInvalidArgument,
          "{}: a description is a .json, .yaml or .yml file", path.string());
  const std::string text = read_file(path, kMaxJsonBytes), what = path.string();
  const bool json = path.extension() == ".json" || (!path.has_extension() && text.starts_with('{'));
  return json ? json_from_text(text, what) : json_from_yaml(text, what);
}

}  // namespace asmlp
