// Text without its case.
#pragma once

#include <string>
#include <string_view>

namespace asmlp {

// ASCII letters in lower case, whatever the locale; all other bytes as they are.
inline std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace asmlp
