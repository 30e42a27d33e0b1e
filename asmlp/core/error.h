// The one exception type of the library.
//
// Thrown at untrusted edges (files, images, options, requests) and while planning; never by
// Engine::run on a valid plan. A message names the culprit and says what to do next.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace asmlp {

enum class ErrorCode {
  kInvalidArgument,  // a value is outside its documented range; fix the call or the option
  kNotFound,         // a file, a model name or a tensor does not exist
  kIo,               // the operating system refused to read or write
  kBadFormat,        // a file breaks the rules of its format (truncated, corrupt, hostile)
  kUnsupported,      // valid, but outside what this build or this machine can do
  kMismatch,         // two things that must agree do not (weights and config, shapes)
  kTooLarge,         // over a documented limit (image pixels, header bytes)
  kInterrupted,      // the user asked to stop; everything worth keeping has been saved
};

// The code as a lower-case word, e.g. "not_found": for JSON output and logs.
const char* to_string(ErrorCode code);

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

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
