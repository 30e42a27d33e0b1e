// Options that decide how a command line is parsed, read before it is.
#pragma once

#include <optional>
#include <span>
#include <string>

namespace asmlp::cli {

// The value of `--name VALUE` or `--name=VALUE` on a raw command line, before it is parsed; "" when
// the option stands without a value, nothing when it is not there.
std::optional<std::string> raw_option(std::span<const char* const> arguments,
                                      const std::string& name);

}  // namespace asmlp::cli
