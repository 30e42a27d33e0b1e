#include "asmlp/dataset/coco/coco_json.h"

#include <algorithm>
#include <cmath>

#include "asmlp/core/error.h"

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

void parse(std::string_view json, const std::string& what,
           const Json::parser_callback_t& callback) {
  try {
    // Everything of interest is handed over and discarded on the way.
    const Json rest = Json::parse(json.begin(), json.end(), callback);
  } catch (const Json::exception& error) {
    fail(ErrorCode::kBadFormat,
         "{}: not valid JSON: {}; is the file complete? (NaN and Infinity are no JSON)", what,
         reason(error.what()));
  }
}

bool ends_element(Event event) {
  return event == Event::object_end || event == Event::array_end || event == Event::value;
}

}  // namespace

void for_each_record(std::string_view json, const std::string& what,
                     const std::vector<std::string>& lists, const RecordHandler& handle) {
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
  for (size_t i = 0; i < lists.size(); ++i) {
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

const Json* member(const Json& record, const char* key) {
  if (!record.is_object()) return nullptr;
  const auto found = record.find(key);
  return found == record.end() ? nullptr : &*found;
}

std::optional<double> finite_number(const Json& value) {
  if (!value.is_number()) return std::nullopt;
  const auto number = value.get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::optional<int64_t> whole_number(const Json& value) {
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

}  // namespace asmlp
