#include "asmlp/schema/fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include "asmlp/schema/nearest.h"
#include "asmlp/schema/text.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;

template <typename Int>
void read_integer(const Json& json, Int& value, const std::string& where) {
  // get<int>() would silently cut 1.5 and 2^40. 1e3 is an integer, as in YAML.
  bool fits = false;
  if (json.is_number_unsigned()) {
    fits = std::in_range<Int>(json.get<uint64_t>());
  } else if (json.is_number_integer()) {
    fits = std::in_range<Int>(json.get<int64_t>());
  } else if (json.is_number_float()) {
    const double number = json.get<double>();
    fits = std::abs(number) < 0x1p53 && number == std::trunc(number) &&
           std::in_range<Int>(static_cast<int64_t>(number));
  }
  if (!fits) refuse_value(json, where, std::is_signed_v<Int> ? "an integer" : "an integer from 0");
  value = json.get<Int>();
}

bool same_key(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return x == y || ((x == '-' || x == '_') && (y == '-' || y == '_'));
  });
}

bool has_bounds(const FieldInfo& info) {
  const FieldInfo none;
  return info.low > none.low || info.high < none.high || info.above > none.above ||
         info.below < none.below;
}

// "between 0 and 1", "at least 1", "above 0 and at most 1".
std::string range_text(const FieldInfo& info) {
  if (std::isfinite(info.low) && std::isfinite(info.high)) {
    return fmt::format("between {} and {}", info.low, info.high);
  }
  std::string text;
  const auto add = [&](const char* relation, double bound) {
    if (std::isfinite(bound))
      text += fmt::format("{}{} {}", text.empty() ? "" : " and ", relation, bound);
  };
  add("above", info.above);
  add("at least", info.low);
  add("at most", info.high);
  add("below", info.below);
  return text;
}

}  // namespace

std::string with_dashes(std::string key) {
  std::ranges::replace(key, '_', '-');
  return key;
}

void refuse_value(const Json& json, const std::string& where, const std::string& expected) {
  const bool long_value = json.is_structured() && json.size() > 16;
  fail(ErrorCode::kInvalidArgument, "{} must be {}, found {}", where, expected,
       long_value ? std::string(json.type_name())
                  : excerpt(json.dump(-1, ' ', true, Json::error_handler_t::replace)));
}

void require_object(const Json& json, const std::string& where) {
  require(json.is_object(), ErrorCode::kInvalidArgument, "{} must be an object, found {}", where,
          json.type_name());
}

void check_keys(const Json& json, const std::vector<std::string>& known, const std::string& where) {
  for (const auto& item : json.items()) {
    const std::string& key = item.key();
    const bool is_known =
        std::ranges::any_of(known, [&](const std::string& name) { return same_key(key, name); });
    require(is_known, ErrorCode::kInvalidArgument, "{}: unknown key '{}'{}", where, excerpt(key),
            did_you_mean(excerpt(key), known));
  }
}

const Json* find_field(const Json& json, const char* name, const FieldInfo& info,
                       const std::string& where) {
  const Json* found = nullptr;
  for (const auto& [key, value] : json.items()) {
    if (!same_key(key, name) && (info.alias == nullptr || !same_key(key, info.alias))) continue;
    require(found == nullptr, ErrorCode::kInvalidArgument, "{}: '{}' is given twice", where, name);
    found = &value;
  }
  return found;
}

void check_range(const char* field, double value, const FieldInfo& info, const char* where) {
  if (!has_bounds(info)) return;
  const bool good = std::isfinite(value) && value >= info.low && value <= info.high &&
                    value > info.above && value < info.below;
  require(good, ErrorCode::kInvalidArgument, "{}{}{} is {}, must be {}", where,
          *where != 0 ? ": " : "", field, value, range_text(info));
}

void read_json(const Json& json, bool& value, const std::string& where) {
  if (!json.is_boolean()) refuse_value(json, where, "true or false");
  value = json.get<bool>();
}

void read_json(const Json& json, double& value, const std::string& where) {
  if (!json.is_number()) refuse_value(json, where, "a number");
  value = json.get<double>();
}

void read_json(const Json& json, float& value, const std::string& where) {
  double wide = 0;
  read_json(json, wide, where);
  value = static_cast<float>(wide);
}

void read_json(const Json& json, int& value, const std::string& where) {
  read_integer(json, value, where);
}
void read_json(const Json& json, int64_t& value, const std::string& where) {
  read_integer(json, value, where);
}
void read_json(const Json& json, uint64_t& value, const std::string& where) {
  read_integer(json, value, where);
}

void read_json(const Json& json, std::string& value, const std::string& where) {
  if (!json.is_string()) refuse_value(json, where, "text");
  value = json.get<std::string>();
}

void read_json(const Json& json, Json& value, const std::string&) { value = json; }

void read_json(const Json& json, std::map<std::string, std::string>& value,
               const std::string& where) {
  require_object(json, where);
  value.clear();
  for (const auto& [key, text] : json.items()) {
    read_json(text, value[key], where + ": " + excerpt(key));
  }
}

double shortest(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double wide = value;
  std::from_chars(text, end, wide);
  return wide;
}

}  // namespace asmlp
