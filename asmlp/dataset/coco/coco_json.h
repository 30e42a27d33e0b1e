// Large JSON files of many small records, and values of such records (of COCO's files).
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asmlp {

// What to do with the elements of the lists: handle(list, index, record), list being an index into
// the names given and index the number of the record within it, from 0.
using RecordHandler = std::function<void(int list, int64_t index, const nlohmann::json& record)>;

// Parses a JSON object whose members `lists` are arrays and hands over their elements one after
// another; no more than one is held in memory. Other members are passed over. Error (kBadFormat),
// beginning with `what`, when the text is no such object, one of the first `required` lists is
// missing, or a list is there twice.
void for_each_record(std::string_view json, const std::string& what,
                     const std::vector<std::string>& lists, size_t required,
                     const RecordHandler& handle);

// The same for a JSON array that is itself the list (number 0).
void for_each_element(std::string_view json, const std::string& what, const RecordHandler& handle);

// Whether JSON text that stands in a record may be parsed: the limits are those of records.
bool is_record_json(std::string_view text);

// Members of a record; nothing when the record is no object, has no such member or one of another
// kind. Numbers may be written as text ("12"), whole numbers as 640.0.
const nlohmann::json* member(const nlohmann::json& record, const char* key);
std::optional<int64_t> whole_number(const nlohmann::json& record, const char* key);
std::optional<double> finite_number(const nlohmann::json& record, const char* key);
std::optional<std::string> text(const nlohmann::json& record, const char* key);

// The value itself as a finite or a whole number.
std::optional<double> finite_number(const nlohmann::json& value);
std::optional<int64_t> whole_number(const nlohmann::json& value);

// A list of finite numbers, also one that is written as text ("[1, 2]").
std::optional<std::vector<double>> numbers(const nlohmann::json& value);

// A flag: true, a number that is not 0, or either as text. null, "" and no member at all are false;
// nothing for any other value.
std::optional<bool> flag(const nlohmann::json& record, const char* key);

// The text with "" in the place of NaN, Infinity and -Infinity, which Python writes though they are
// no JSON; nothing when there are none. For a text that could not be parsed.
std::optional<std::string> without_python_numbers(std::string_view json);

}  // namespace asmlp
