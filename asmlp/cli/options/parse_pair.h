// Options of one or two whole numbers: "160", "96x128", "1,6".
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace asmlp::cli {

// "A" or "A<separator>B"; one number stands for both. Error(kInvalidArgument) names the option, for
// other text and for a number that is no int.
std::pair<int, int> parse_pair(const std::string& option, std::string_view text, char separator);

}  // namespace asmlp::cli
