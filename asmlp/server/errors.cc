#include "asmlp/server/errors.h"

#include "asmlp/core/out_of_memory.h"

namespace asmlp::server {
namespace {

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kBadFormat:
    case ErrorCode::kMismatch:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kTooLarge:
      return 413;
    case ErrorCode::kUnsupported:
      return 415;
    case ErrorCode::kBusy:
      return 503;
    case ErrorCode::kInterrupted:
      return 504;
    case ErrorCode::kIo:
      break;
  }
  return 500;
}

}  // namespace

ErrorFacts facts_of(const std::exception& error) {
  if (const auto* known = dynamic_cast<const Error*>(&error)) {
    return {status_of(known->code()), to_string(known->code()), known->what()};
  }
  const ExceptionText told = explain_exception(error);
  if (told.out_of_memory) return {503, "out_of_memory", told.message};
  return {500, "internal", told.message};
}

HttpReply error_reply(const std::string& path, int status, const std::string& code,
                      const std::string& message) {
  HttpReply reply;
  reply.status = status;
  reply.body =
      to_text(path.starts_with("/v2") ? Json{{"error", message}}
                                      : Json{{"error", {{"code", code}, {"message", message}}}});
  return reply;
}

HttpReply error_reply(const std::string& path, const std::exception& error) {
  const ErrorFacts facts = facts_of(error);
  return error_reply(path, facts.status, facts.code, facts.message);
}

}  // namespace asmlp::server
