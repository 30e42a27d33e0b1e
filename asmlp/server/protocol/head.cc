#include "asmlp/server/protocol/head.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "asmlp/core/lower_case.h"

namespace asmlp::server {
namespace {

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The part before the next `end`, which is taken away with it; all of the text without one.
std::string_view take_until(std::string_view& text, std::string_view end) {
  const size_t at = text.find(end);
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + end.size());
  return part;
}

struct Refusal {
  int status;
  std::string why;
};
[[noreturn]] void refuse(int status, std::string why) { throw Refusal{status, std::move(why)}; }

void read_request_line(std::string_view line, const HeadLimits& limits, Head& head) {
  const std::string_view method = take_until(line, " ");
  const std::string_view target = take_until(line, " ");
  if (!is_token(method) || target.empty() || line.substr(0, 5) != "HTTP/") {
    refuse(400, "the first line is no HTTP request");
  }
  head.method = method.substr(0, 16);
  if (target.size() > limits.max_target) {
    refuse(414, fmt::format("path and query have {} bytes; {} are allowed", target.size(),
                            limits.max_target));
  }
  if (!is_visible(target)) refuse(400, "the path holds blanks or control characters");
  head.target = target;
  if (line != "HTTP/1.1" && line != "HTTP/1.0") refuse(505, "HTTP/1.1 and HTTP/1.0 are spoken");
  if (method != "GET" && method != "HEAD" && method != "POST") {
    refuse(405, "GET, HEAD and POST are answered");
  }
  if (target.front() != '/') refuse(400, "the path does not begin with /");
}

void read_header(std::string_view line, Head& head) {
  const size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  if (colon == std::string_view::npos || !is_token(name)) refuse(400, "a header line is malformed");
  const std::string_view value = without_blanks(line.substr(colon + 1));
  if (!std::ranges::all_of(value, [](char c) {
        return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
      })) {
    refuse(400, "a header holds control characters");
  }
  const auto [place, added] = head.headers.emplace(lower_case(std::string(name)), value);
  // Of two that disagree about the body, a proxy in front may believe the other one.
  if (!added && place->second != value &&
      (place->first == "content-length" || place->first == "transfer-encoding" ||
       place->first == "host" || place->first == "authorization" ||
       place->first == "inference-header-content-length")) {
    refuse(400, fmt::format("the header {} is given twice", place->first));
  }
}

void read_body_length(const HeadLimits& limits, Head& head) {
  if (const std::string coding = lower_case(head.header("content-encoding"));
      !coding.empty() && coding != "identity") {
    refuse(415, "compressed bodies are not accepted; send it without Content-Encoding");
  }
  const auto length = head.headers.find("content-length");
  if (const auto coding = head.headers.find("transfer-encoding"); coding != head.headers.end()) {
    if (lower_case(coding->second) != "chunked" || length != head.headers.end()) {
      refuse(400, "the length of the body is unclear: Content-Length or chunked, not both");
    }
    head.chunked = true;
  } else if (length != head.headers.end()) {
    const std::string& text = length->second;
    uint64_t value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range) {
      value = UINT64_MAX;
    } else if (error != std::errc() || rest != text.data() + text.size()) {
      refuse(400, "Content-Length is no number");
    }
    if (value > limits.max_body) {
      refuse(413, fmt::format("the body has {} bytes; {} are allowed (--max-body)", value,
                              limits.max_body));
    }
    head.length = value;
  }
  if (head.method != "POST" && (head.chunked || head.length.value_or(0) > 0)) {
    refuse(400, fmt::format("a {} has no body", head.method));
  }
  if (head.method == "POST" && !head.chunked && !head.length) {
    refuse(411, "a POST needs a Content-Length");
  }
}

}  // namespace

std::string Head::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

std::string Head::plain_text() const {
  std::string text = fmt::format("{} {} HTTP/1.1\r\n", method, target);
  if (chunked) text += "Transfer-Encoding: chunked\r\n";
  if (length) text += fmt::format("Content-Length: {}\r\n", *length);
  if (expects_continue) text += "Expect: 100-continue\r\n";
  return text + "\r\n";
}

Head check_head(std::string_view text, const HeadLimits& limits) {
  Head head;
  try {
    if (text.size() > limits.max_bytes) {
      refuse(431, fmt::format("the head is larger than {} bytes", limits.max_bytes));
    }
    if (text.find('\0') != std::string_view::npos) refuse(400, "the head holds a zero byte");
    const std::string_view first = take_until(text, "\r\n");
    read_request_line(first, limits, head);
    head.headers.emplace(":version", first.substr(first.size() - 3));
    for (int lines = 0; !text.empty(); ++lines) {
      const std::string_view line = take_until(text, "\r\n");
      if (line.empty()) break;
      if (lines == limits.max_lines) {
        refuse(431, fmt::format("more than {} headers", limits.max_lines));
      }
      read_header(line, head);
    }
    read_body_length(limits, head);
    head.expects_continue = lower_case(head.header("expect")) == "100-continue";
  } catch (const Refusal& refusal) {
    head.status = refusal.status;
    head.error = refusal.why;
  }
  return head;
}

}  // namespace asmlp::server
