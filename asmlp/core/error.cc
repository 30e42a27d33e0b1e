#include "asmlp/core/error.h"

namespace asmlp {

Error::~Error() = default;

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kBadFormat:
      return "bad_format";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kMismatch:
      return "mismatch";
    case ErrorCode::kTooLarge:
      return "too_large";
    case ErrorCode::kInterrupted:
      return "interrupted";
    case ErrorCode::kBusy:
      return "busy";
  }
  return "unknown";
}

}  // namespace asmlp
