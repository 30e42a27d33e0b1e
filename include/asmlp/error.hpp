// The one exception type of the library. Its message names the culprit (file, option, tensor) and
// says what to do next.
#pragma once

#include <stdexcept>
#include <string>

#include "asmlp/export.h"

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
  kBusy,             // another thread is in a call of the same object: one caller at a time
};

// The code as a lower-case word, e.g. "not_found": for JSON output and logs.
ASMLP_API const char* to_string(ErrorCode code);

class ASMLP_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Error(const Error&) = default;
  Error& operator=(const Error&) = default;
  // Not inline: the type then has one identity, so that it can be caught outside of libasmlp.so.
  ~Error() override;
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace asmlp
