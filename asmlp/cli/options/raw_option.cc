#include "asmlp/cli/options/raw_option.h"

namespace asmlp::cli {

std::optional<std::string> raw_option(std::span<const char* const> arguments,
                                      const std::string& name) {
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string argument = arguments[i];
    if (argument.starts_with(name + "=")) return argument.substr(name.size() + 1);
    if (argument != name) continue;
    const bool value_follows = i + 1 < arguments.size() && arguments[i + 1][0] != '-';
    return value_follows ? arguments[i + 1] : "";
  }
  return std::nullopt;
}

}  // namespace asmlp::cli
