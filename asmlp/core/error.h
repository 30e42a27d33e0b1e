// Throwing the one exception type of the library, asmlp::Error (include/asmlp/error.hpp).
//
// Thrown at untrusted edges (files, images, options, requests) and while planning; never by
// Engine::run on a valid plan. A message names the culprit and says what to do next.
#pragma once

#include <fmt/format.h>

#include <string>

#include "asmlp/error.hpp"

namespace asmlp {

// Throws Error with a formatted message: fail(ErrorCode::kIo, "{}: cannot open: {}", path, why).
template <typename... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

// fail() unless `condition` holds.
template <typename... Args>
void require(bool condition, ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) [[unlikely]]
    fail(code, format, std::forward<Args>(args)...);
}

}  // namespace asmlp
