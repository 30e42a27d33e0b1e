#include "asmlp/schema/text.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <new>
#include <set>
#include <vector>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;

void check_size(const std::string& text, size_t limit, const std::string& what) {
  require(text.size() <= limit, ErrorCode::kTooLarge, "{}: {} bytes, at most {} are read", what,
          text.size(), limit);
}

template <typename Number>
bool whole_number(const std::string& text, Number& number) {
  const char* begin = text.data() + (text.size() > 1 && text[0] == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(begin, end, number);
  return result.ec == std::errc() && result.ptr == end;
}

// YAML's core schema without octal, hexadecimal and the infinities, which no field here can use.
Json scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;  // quoted
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  int64_t integer = 0;
  if (whole_number(text, integer)) return integer;
  double real = 0;
  const bool digits = text.find_first_of("0123456789") != std::string::npos;
  if (digits && whole_number(text, real)) return real;
  return text;
}

bool has_extension_of_weights(const std::string& extension) {
  return extension == ".safetensors" || extension == ".pth" || extension == ".pt" ||
         extension == ".bin" || extension == ".ckpt";
}

class YamlConverter {
 public:
  explicit YamlConverter(const std::string& what) : what_(what) {}

  // Aliases make a graph of the tree: the depth limit ends cycles, the node limit ends bombs.
  Json convert(const YAML::Node& node, int depth = 0) {
    require(depth <= kMaxTextDepth, ErrorCode::kInvalidArgument, "{}: nested deeper than {} levels",
            what_, kMaxTextDepth);
    require(++nodes_ <= kMaxTextValues, ErrorCode::kTooLarge,
            "{}: aliases expand to more than {} values", what_, kMaxTextValues);
    if (node.IsScalar()) return scalar(node);
    if (node.IsSequence()) {
      Json array = Json::array();
      for (const auto& element : node) array.push_back(convert(element, depth + 1));
      return array;
    }
    if (!node.IsMap()) return nullptr;
    Json object = Json::object();
    for (const auto& entry : node) {
      require(entry.first.IsScalar(), ErrorCode::kInvalidArgument, "{}: a key is not plain text",
              what_);
      const std::string& key = entry.first.Scalar();
      require(!object.contains(key), ErrorCode::kInvalidArgument, "{}: '{}' is given twice", what_,
              excerpt(key));
      object[key] = convert(entry.second, depth + 1);
    }
    return object;
  }

 private:
  const std::string& what_;
  size_t nodes_ = 0;
};

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

nlohmann::json json_from_yaml(const std::string& text, const std::string& what) {
  check_size(text, kMaxYamlBytes, what);
  // The parser takes 15 us an entry. A list of 21,841 names of classes is the longest there is.
  constexpr auto kMaxLines = std::ptrdiff_t{1} << 16;
  require(std::ranges::count(text, '\n') <= kMaxLines, ErrorCode::kTooLarge,
          "{}: more than {} lines; write it as JSON", what, kMaxLines);
  try {
    return YamlConverter(what).convert(YAML::Load(text));
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {  // YAML::Exception, and what its parser lets through
    fail(ErrorCode::kInvalidArgument, "{}: not valid YAML: {}", what, excerpt(error.what()));
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
