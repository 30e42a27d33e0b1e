#include "asmlp/dataset/coco/coco_json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <type_traits>

#include "asmlp/core/error.h"
#include "asmlp/core/lower_case.h"
#include "asmlp/schema/text.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;
using Event = Json::parse_event_t;

// The library's message without its "[json.exception...]" and cut where it quotes the file at
// length.
std::string reason(const std::string& message) {
  const size_t bracket = message.find("] ");
  return message.substr(bracket == std::string::npos ? 0 : bracket + 2, 200);
}

// A record is in memory as a tree of values, of 16 bytes each at least. Run lengths that are a list
// have 10^5 values, outlines 10^4.
constexpr size_t kMaxRecordValues = size_t{1} << 22;
constexpr int kMaxRecordDepth = 64;

void parse(std::string_view json, const std::string& what,
           const Json::parser_callback_t& callback) {
  size_t values = 0;  // since the last one that was discarded
  const auto limited = [&](int depth, Event event, Json& value) {
    require(depth <= kMaxRecordDepth, ErrorCode::kTooLarge, "{}: nested deeper than {} levels",
            what, kMaxRecordDepth);
    require(++values <= kMaxRecordValues, ErrorCode::kTooLarge,
            "{}: an entry of more than {} values", what, kMaxRecordValues);
    const bool kept = callback(depth, event, value);
    if (!kept) values = 0;
    return kept;
  };
  try {
    // Everything of interest is handed over and discarded on the way.
    const Json rest = Json::parse(json.begin(), json.end(), limited);
  } catch (const Json::exception& error) {
    fail(ErrorCode::kBadFormat, "{}: not valid JSON: {}; is the file complete?", what,
         reason(error.what()));
  }
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

// The number that the whole text is.
template <typename T>
std::optional<T> number_of(std::string_view text) {
  text = trimmed(text);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) return std::nullopt;
  }
  return value;
}

bool ends_element(Event event) {
  return event == Event::object_end || event == Event::array_end || event == Event::value;
}

}  // namespace

void for_each_record(std::string_view json, const std::string& what,
                     const std::vector<std::string>& lists, size_t required,
                     const RecordHandler& handle) {
  std::vector<bool> seen(lists.size());
  int list = -1;  // whose value is being parsed
  int64_t index = 0;
  // Depths: 0 the object, 1 its members, 2 the elements of a list.
  parse(json, what, [&](int depth, Event event, Json& value) {
    if (depth == 0) {
      require(event == Event::object_start || event == Event::object_end, ErrorCode::kBadFormat,
              "{}: is JSON, but no object; expected {{\"images\": [...], ...}}", what);
      return true;
    }
    if (depth == 1 && event == Event::key) {
      const auto found = std::find(lists.begin(), lists.end(), value.get_ref<std::string&>());
      list = found == lists.end() ? -1 : static_cast<int>(found - lists.begin());
      if (list < 0) return false;
      require(!seen[list], ErrorCode::kBadFormat, "{}: has \"{}\" twice; merge the two lists", what,
              lists[list]);
      seen[list] = true;
      index = 0;
      return true;
    }
    if (list < 0) return false;
    if (depth == 1) {
      require(event == Event::array_start || event == Event::array_end, ErrorCode::kBadFormat,
              "{}: \"{}\" must be a list", what, lists[list]);
      return true;
    }
    if (depth > 2 || !ends_element(event)) return true;
    handle(list, index++, value);
    return false;
  });
  for (size_t i = 0; i < required; ++i) {
    require(seen[i], ErrorCode::kBadFormat,
            "{}: has no list \"{}\"; expected COCO's format with \"{}\"", what, lists[i],
            fmt::join(lists, "\", \""));
  }
}

void for_each_element(std::string_view json, const std::string& what, const RecordHandler& handle) {
  int64_t index = 0;
  parse(json, what, [&](int depth, Event event, Json& value) {
    if (depth == 0) {
      require(event == Event::array_start || event == Event::array_end, ErrorCode::kBadFormat,
              "{}: is JSON, but no list; expected [{{\"image_id\": ...}}, ...]", what);
      return true;
    }
    if (depth > 1 || !ends_element(event)) return true;
    handle(0, index++, value);
    return false;
  });
}

bool is_record_json(std::string_view text) {
  const JsonSize size = json_size(text);
  return size.depth <= size_t{kMaxRecordDepth} && size.values <= kMaxRecordValues;
}

const Json* member(const Json& record, const char* key) {
  if (!record.is_object()) return nullptr;
  const auto found = record.find(key);
  return found == record.end() ? nullptr : &*found;
}

std::optional<double> finite_number(const Json& value) {
  if (value.is_string()) return number_of<double>(value.get_ref<const std::string&>());
  if (!value.is_number()) return std::nullopt;
  const auto number = value.get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::optional<int64_t> whole_number(const Json& value) {
  if (value.is_string()) {
    const auto whole = number_of<int64_t>(value.get_ref<const std::string&>());
    if (whole) return whole;
  }
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX})
    return std::nullopt;
  if (value.is_number_integer()) return value.get<int64_t>();
  const auto number = finite_number(value);
  // Beyond 2^53 a double does not say which whole number was meant.
  if (!number || std::trunc(*number) != *number || std::abs(*number) > 0x1p53) return std::nullopt;
  return static_cast<int64_t>(*number);
}

std::optional<int64_t> whole_number(const Json& record, const char* key) {
  const Json* value = member(record, key);
  return value != nullptr ? whole_number(*value) : std::nullopt;
}

std::optional<double> finite_number(const Json& record, const char* key) {
  const Json* value = member(record, key);
  return value != nullptr ? finite_number(*value) : std::nullopt;
}

std::optional<std::string> text(const Json& record, const char* key) {
  const Json* value = member(record, key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return value->get<std::string>();
}

std::optional<std::vector<double>> numbers(const Json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (!is_record_json(text)) return std::nullopt;
    const Json list = Json::parse(text, nullptr, false);
    return list.is_array() ? numbers(list) : std::nullopt;
  }
  if (!value.is_array()) return std::nullopt;
  std::vector<double> result;
  result.reserve(value.size());
  for (const Json& element : value) {
    const auto number = finite_number(element);
    if (!number) return std::nullopt;
    result.push_back(*number);
  }
  return result;
}

std::optional<bool> flag(const Json& record, const char* key) {
  const Json* value = member(record, key);
  if (value == nullptr || value->is_null()) return false;
  if (value->is_boolean()) return value->get<bool>();
  if (const auto number = finite_number(*value)) return *number != 0;
  if (!value->is_string()) return std::nullopt;
  const std::string word = lower_case(trimmed(value->get_ref<const std::string&>()));
  if (word.empty() || word == "false") return false;
  return word == "true" ? std::optional(true) : std::nullopt;
}

std::optional<std::string> without_python_numbers(std::string_view json) {
  std::optional<std::string> cleaned;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
      continue;
    }
    in_string = c == '"';
    if (c != 'N' && c != 'I' && c != '-') continue;
    for (const std::string_view token : {"NaN", "Infinity", "-Infinity"}) {
      if (!json.substr(i).starts_with(token)) continue;
      if (!cleaned) cleaned.emplace(json);
      cleaned->replace(i, token.size(), token.size(), ' ').replace(i, 2, "\"\"");
      i += token.size() - 1;
      break;
    }
  }
  return cleaned;
}

}  // namespace asmlp
