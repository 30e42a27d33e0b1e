#include "asmlp/core/printable.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "asmlp/core/utf8.h"

namespace asmlp {
namespace {

// Marks that turn the direction of writing, and the line and paragraph separators.
bool is_hidden_mark(uint32_t code) {
  return (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
         code == 0x200e || code == 0x200f || code == 0x061c;
}

bool is_control(uint32_t code) { return code < 0x20 || (code >= 0x7f && code < 0xa0); }

// Whether the break or tab at the start of `rest` stays.
bool keeps_break(std::string_view rest, LineBreaks breaks) {
  switch (breaks) {
    case LineBreaks::kEscape:
      return false;
    case LineBreaks::kKeep:
      return rest[0] == '\n' || rest[0] == '\t';
    case LineBreaks::kIndented:
      return rest.starts_with("\n  ");
  }
  return false;
}

}  // namespace

std::string printable(std::string_view text, LineBreaks breaks) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    uint32_t code = 0;
    const size_t size = read_utf8(text, code);
    const auto first = static_cast<unsigned char>(text[0]);
    if (size == 0) {
      out += fmt::format("\\x{:02x}", first);
    } else if (keeps_break(text, breaks)) {
      out += text[0];
    } else if (code == '\n') {
      out += "\\n";
    } else if (code == '\t') {
      out += "\\t";
    } else if (is_control(code)) {
      out += fmt::format("\\x{:02x}", code);
    } else if (is_hidden_mark(code)) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

std::string printable_json(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    uint32_t code = 0;
    const size_t size = read_utf8(json, code);
    // Control characters of ASCII are JSON's own layout here: within strings it escapes them.
    if (size > 0 && ((code >= 0x7f && is_control(code)) || is_hidden_mark(code))) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      out += json.substr(0, std::max<size_t>(size, 1));
    }
    json.remove_prefix(std::max<size_t>(size, 1));
  }
  return out;
}

}  // namespace asmlp
