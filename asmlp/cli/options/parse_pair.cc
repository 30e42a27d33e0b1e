#include "asmlp/cli/options/parse_pair.h"

#include <charconv>

#include "asmlp/core/error.h"

namespace asmlp::cli {

std::pair<int, int> parse_pair(const std::string& option, std::string_view text, char separator) {
  const auto number = [&](std::string_view digits) {
    int value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    require(error == std::errc() && end == digits.data() + digits.size(),
            ErrorCode::kInvalidArgument, "{} '{}': expected N or N{}N", option, text, separator);
    return value;
  };
  const size_t at = text.find(separator);
  const int first = number(text.substr(0, at));
  return {first, at == std::string_view::npos ? first : number(text.substr(at + 1))};
}

}  // namespace asmlp::cli
