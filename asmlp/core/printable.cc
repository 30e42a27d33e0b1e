#include "asmlp/core/printable.h"

#include <fmt/format.h>

#include <cstdint>

namespace asmlp {
namespace {

// The bytes of the UTF-8 character at the start of `text` and its code; 0 bytes when it is none.
// (Overlong forms would hide control characters.)
size_t read_code(std::string_view text, uint32_t& code) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const size_t size = first < 0x80           ? 1
                      : (first >> 5) == 0x06 ? 2
                      : (first >> 4) == 0x0e ? 3
                      : (first >> 3) == 0x1e ? 4
                                             : 0;
  if (size == 0 || size > text.size()) return 0;
  code = size == 1 ? first : first & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = (code << 6) | (byte(i) & 0x3fu);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return code < kSmallest[size] || code > 0x10ffff || surrogate ? 0 : size;
}

bool turns_direction(uint32_t code) {
  return (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
         code == 0x200e || code == 0x200f;
}

}  // namespace

std::string printable(std::string_view text, LineBreaks breaks) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    uint32_t code = 0;
    const size_t size = read_code(text, code);
    const auto first = static_cast<unsigned char>(text[0]);
    const bool kept_break = breaks == LineBreaks::kKeep && (code == '\n' || code == '\t');
    if (size == 0) {
      out += fmt::format("\\x{:02x}", first);
    } else if (code == '\n' && !kept_break) {
      out += "\\n";
    } else if (code == '\t' && !kept_break) {
      out += "\\t";
    } else if (!kept_break && (code < 0x20 || (code >= 0x7f && code < 0xa0))) {
      out += fmt::format("\\x{:02x}", code);
    } else if (turns_direction(code)) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

}  // namespace asmlp
