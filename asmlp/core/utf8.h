// Reading UTF-8, which JSON and tables need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace asmlp {

// The bytes of the character at the start of `text` (not empty), and its code; 0 bytes when it is
// no UTF-8: cut off, an overlong form (which would hide control characters), a surrogate, or above
// U+10FFFF.
constexpr size_t read_utf8(std::string_view text, uint32_t& code) {
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

// Whether all of the text is UTF-8.
constexpr bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    uint32_t code = 0;
    const size_t size = read_utf8(text, code);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace asmlp
