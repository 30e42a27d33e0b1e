// Errors as answers.
#pragma once

#include <exception>
#include <string>

#include "asmlp/error.hpp"
#include "asmlp/server/message.h"
#include "asmlp/server/results_json.h"

namespace asmlp::server {

// What the client is to know of an error.
struct ErrorFacts {
  int status = 500;
  std::string code;  // as the commands' --json: "bad_format", ...
  std::string message;
};
ErrorFacts facts_of(const std::exception& error);

// {"error": message} below /v2, as its protocol wants; elsewhere what the commands print:
// {"error": {"code", "message"}}.
HttpReply error_reply(const std::string& path, int status, const std::string& code,
                      const std::string& message);
HttpReply error_reply(const std::string& path, const std::exception& error);

}  // namespace asmlp::server
