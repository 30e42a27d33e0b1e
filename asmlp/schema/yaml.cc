#include "asmlp/schema/yaml.h"

#include <yaml.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <new>

#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/core/utf8.h"
#include "asmlp/schema/text.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;

template <typename Number>
bool whole_number(const std::string& text, Number& number) {
  const char* begin = text.data() + (text.size() > 1 && text[0] == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(begin, end, number);
  return result.ec == std::errc() && result.ptr == end;
}

Json plain_scalar(const std::string& text) {
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

std::string text_of(const yaml_char_t* text, size_t size) {
  return {reinterpret_cast<const char*>(text), size};
}
std::string text_of(const yaml_char_t* text) {
  return text == nullptr ? "" : reinterpret_cast<const char*>(text);
}

// The events of a document, one at a time.
class Events {
 public:
  Events(const std::string& text, const std::string& what) : what_(what) {
    if (yaml_parser_initialize(&parser_) == 0) throw std::bad_alloc();
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
  }
  ~Events() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  const yaml_event_t& next() {
    yaml_event_delete(&event_);
    if (yaml_parser_parse(&parser_, &event_) != 0) return event_;
    if (parser_.error == YAML_MEMORY_ERROR) throw std::bad_alloc();
    const bool read = parser_.error == YAML_READER_ERROR;  // whose position is in bytes
    refuse(parser_.problem == nullptr ? "it cannot be parsed" : parser_.problem,
           read ? parser_.mark : parser_.problem_mark);
  }

  [[noreturn]] void refuse(const std::string& problem) const { refuse(problem, event_.start_mark); }

 private:
  [[noreturn]] void refuse(const std::string& problem, const yaml_mark_t& at) const {
    fail(ErrorCode::kInvalidArgument, "{}: not valid YAML: line {}, column {}: {}", what_,
         at.line + 1, at.column + 1, problem);
  }

  const std::string& what_;
  yaml_parser_t parser_{};
  yaml_event_t event_{};
};

class YamlReader {
 public:
  YamlReader(const std::string& text, const std::string& what) : events_(text, what), what_(what) {}

  Json document() {
    events_.next();  // the stream's start
    if (events_.next().type == YAML_STREAM_END_EVENT) return nullptr;
    Json result = value(events_.next(), 0);
    events_.next();  // the document's end
    if (events_.next().type != YAML_STREAM_END_EVENT) events_.refuse("there is a second document");
    return result;
  }

 private:
  Json value(const yaml_event_t& event, int depth) {
    require(depth <= kMaxTextDepth, ErrorCode::kInvalidArgument, "{}: nested deeper than {} levels",
            what_, kMaxTextDepth);
    count(1);
    Json result;
    std::string anchor;
    const size_t first = values_;
    switch (event.type) {
      case YAML_ALIAS_EVENT:
        return expanded(text_of(event.data.alias.anchor), depth);
      case YAML_SCALAR_EVENT: {
        const auto& scalar = event.data.scalar;
        anchor = text_of(scalar.anchor);
        const std::string text = text_of(scalar.value, scalar.length);
        const bool is_text = text_of(scalar.tag) == YAML_STR_TAG;
        const bool plain = scalar.style == YAML_PLAIN_SCALAR_STYLE && !is_text;
        result = plain ? plain_scalar(text) : Json(text);
        break;
      }
      case YAML_SEQUENCE_START_EVENT:
        anchor = text_of(event.data.sequence_start.anchor);
        result = sequence(depth);
        break;
      case YAML_MAPPING_START_EVENT:
        anchor = text_of(event.data.mapping_start.anchor);
        result = mapping(depth);
        break;
      default:
        events_.refuse("a value is missing");
    }
    if (!anchor.empty()) anchors_[anchor] = {result, values_ - first + 1, levels(result)};
    return result;
  }

  Json sequence(int depth) {
    Json result = Json::array();
    for (;;) {
      const yaml_event_t& event = events_.next();
      if (event.type == YAML_SEQUENCE_END_EVENT) return result;
      result.push_back(value(event, depth + 1));
    }
  }

  Json mapping(int depth) {
    Json result = Json::object();
    for (;;) {
      const yaml_event_t& event = events_.next();
      if (event.type == YAML_MAPPING_END_EVENT) return result;
      if (event.type != YAML_SCALAR_EVENT) events_.refuse("a key is not plain text");
      const std::string key = text_of(event.data.scalar.value, event.data.scalar.length);
      require(!result.contains(key), ErrorCode::kInvalidArgument, "{}: '{}' is given twice", what_,
              excerpt(key));
      result[key] = value(events_.next(), depth + 1);
    }
  }

  // An anchor is known when its value has ended, so there are no cycles; bombs are counted before
  // they are copied.
  Json expanded(const std::string& anchor, int depth) {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) events_.refuse("there is no anchor &" + excerpt(anchor));
    require(depth + found->second.levels <= kMaxTextDepth, ErrorCode::kInvalidArgument,
            "{}: nested deeper than {} levels", what_, kMaxTextDepth);
    count(found->second.values);
    return found->second.value;
  }

  void count(size_t more) {
    values_ += more;
    require(values_ <= kMaxTextValues, ErrorCode::kTooLarge,
            "{}: aliases expand to more than {} values", what_, kMaxTextValues);
  }

  static int levels(const Json& value) {
    int deepest = 0;
    if (!value.is_structured()) return 0;
    for (const Json& item : value) deepest = std::max(deepest, 1 + levels(item));
    return deepest;
  }

  struct Anchored {
    Json value;
    size_t values;
    int levels;
  };
  Events events_;
  const std::string& what_;
  size_t values_ = 0;
  std::map<std::string, Anchored> anchors_;
};

class YamlWriter {
 public:
  YamlWriter() {
    if (yaml_emitter_initialize(&emitter_) == 0) throw std::bad_alloc();
    yaml_emitter_set_output(&emitter_, append, &text_);
    yaml_emitter_set_unicode(&emitter_, 1);
    yaml_emitter_set_width(&emitter_, -1);
  }
  ~YamlWriter() { yaml_emitter_delete(&emitter_); }
  YamlWriter(const YamlWriter&) = delete;
  YamlWriter& operator=(const YamlWriter&) = delete;

  std::string document(const nlohmann::ordered_json& value) {
    yaml_event_t event;
    emit(event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    emit(event, yaml_document_start_event_initialize(&event, nullptr, nullptr, nullptr, 1));
    write(value);
    emit(event, yaml_document_end_event_initialize(&event, 1));
    emit(event, yaml_stream_end_event_initialize(&event));
    return text_;
  }

 private:
  static int append(void* text, unsigned char* bytes, size_t size) {
    try {
      static_cast<std::string*>(text)->append(reinterpret_cast<char*>(bytes), size);
      return 1;
    } catch (const std::bad_alloc&) {
      return 0;  // an exception must not pass through C
    }
  }

  void emit(yaml_event_t& event, int made) {
    if (made == 0) throw std::bad_alloc();
    if (yaml_emitter_emit(&emitter_, &event) != 0) return;
    if (emitter_.error != YAML_EMITTER_ERROR) throw std::bad_alloc();
    fail(ErrorCode::kInvalidArgument, "this cannot be written as YAML: {}", emitter_.problem);
  }

  // A name of a file may be no UTF-8: then with its bytes written out.
  void write_scalar(std::string text, yaml_scalar_style_t style) {
    if (!is_utf8(text)) text = printable(text);
    yaml_event_t event;
    const auto* bytes = reinterpret_cast<const yaml_char_t*>(text.data());
    emit(event, yaml_scalar_event_initialize(&event, nullptr, nullptr, bytes,
                                             static_cast<int>(text.size()), 1, 1, style));
  }

  void write(const nlohmann::ordered_json& value) {
    yaml_event_t event;
    if (value.is_object()) {
      emit(event, yaml_mapping_start_event_initialize(&event, nullptr, nullptr, 1,
                                                      YAML_BLOCK_MAPPING_STYLE));
      for (const auto& [key, item] : value.items()) {
        write_scalar(key, YAML_PLAIN_SCALAR_STYLE);
        write(item);
      }
      emit(event, yaml_mapping_end_event_initialize(&event));
    } else if (value.is_array()) {
      emit(event, yaml_sequence_start_event_initialize(&event, nullptr, nullptr, 1,
                                                       YAML_FLOW_SEQUENCE_STYLE));
      for (const auto& item : value) write(item);
      emit(event, yaml_sequence_end_event_initialize(&event));
    } else if (value.is_string()) {
      write_scalar(value.get<std::string>(), YAML_DOUBLE_QUOTED_SCALAR_STYLE);
    } else {
      write_scalar(value.dump(), YAML_PLAIN_SCALAR_STYLE);
    }
  }

  yaml_emitter_t emitter_{};
  std::string text_;
};

}  // namespace

nlohmann::json json_from_yaml(const std::string& text, const std::string& what) {
  require(text.size() <= kMaxYamlBytes, ErrorCode::kTooLarge, "{}: {} bytes, at most {} are read",
          what, text.size(), kMaxYamlBytes);
  // A list of 21,841 names of classes is the longest there is.
  constexpr auto kMaxLines = std::ptrdiff_t{1} << 16;
  require(std::ranges::count(text, '\n') <= kMaxLines, ErrorCode::kTooLarge,
          "{}: more than {} lines; write it as JSON", what, kMaxLines);
  return YamlReader(text, what).document();
}

std::string yaml_from_json(const nlohmann::ordered_json& value) {
  return YamlWriter().document(value);
}

}  // namespace asmlp
