// The head of an HTTP request, checked before any other parser sees it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace asmlp::server {

struct HeadLimits {
  size_t max_bytes = size_t{16} << 10;  // of the whole head
  size_t max_target = 2048;             // of path and query
  int max_lines = 100;
  uint64_t max_body = uint64_t{32} << 20;
};

// What is known of a request before its body comes.
struct Head {
  int status = 0;                              // 0: go on; else the HTTP status to refuse it with
  std::string error;                           // then the reason, for the client
  std::string method;                          // of a refused head as far as it could be read
  std::string target;                          // path and query as they came
  std::map<std::string, std::string> headers;  // by lower-case name, values without outer blanks
  bool chunked = false;
  std::optional<uint64_t> length;  // of the body, where it is said
  bool expects_continue = false;

  // "" where there is none.
  std::string header(const std::string& name) const;
  // What httplib needs of it: the request line and the headers that decide about body and
  // connection. Its own parsers of other headers (ranges, encodings, multipart, form data) see
  // nothing of the client.
  std::string plain_text() const;
};

// Checks `text`, which ends with the empty line. Refused are: methods other than GET, HEAD and POST
// (405); lines that are no header, control characters, a body of unclear length (400; 411 when a
// POST says none); a body over the limit (413); a compressed one (415); another version of HTTP
// (505); and what exceeds the other limits (414, 431).
Head check_head(std::string_view text, const HeadLimits& limits);

}  // namespace asmlp::server
