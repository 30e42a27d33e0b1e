#include "asmlp/server/protocol/multipart.h"

#include "asmlp/core/error.h"
#include "asmlp/core/lower_case.h"

namespace asmlp::server {
namespace {

constexpr size_t kNone = std::string_view::npos;

std::string boundary_of(std::string_view content_type) {
  const size_t at = lower_case(std::string(content_type)).find("boundary=");
  std::string_view text = at == kNone ? "" : content_type.substr(at + 9);
  if (text.starts_with('"')) {
    text.remove_prefix(1);
    text = text.substr(0, text.find('"'));
  } else {
    text = text.substr(0, text.find_first_of("; \t"));
  }
  require(!text.empty() && text.size() <= 70, ErrorCode::kBadFormat,
          "multipart/form-data: the Content-Type has no boundary of 1 to 70 characters");
  return std::string(text);
}

// The value of `key` in "form-data; name=\"x\"; filename=\"y\"", "" without it. A quote or a
// backslash in it is written with a backslash; browsers write a quote as %22, which stays.
std::string parameter(std::string_view text, std::string_view key) {
  for (size_t at = 0; (at = text.find(';', at)) != kNone;) {
    ++at;
    while (at < text.size() && text[at] == ' ') ++at;
    if (!text.substr(at).starts_with(key) || text.substr(at + key.size(), 1) != "=") continue;
    at += key.size() + 1;
    if (text.substr(at, 1) != "\"") {
      return std::string(text.substr(at, text.find_first_of("; \t", at) - at));
    }
    std::string value;
    for (++at; at < text.size() && text[at] != '"'; ++at) {
      if (text[at] == '\\' && at + 1 < text.size()) ++at;
      value += text[at];
    }
    return value;
  }
  return "";
}

Part part_of(std::string_view head) {
  Part part;
  while (!head.empty()) {
    const size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head = end == kNone ? "" : head.substr(end + 2);
    constexpr std::string_view kName = "content-disposition:";
    if (lower_case(std::string(line.substr(0, kName.size()))) != kName) continue;
    part.name = parameter(line, "name");
    part.filename = parameter(line, "filename");
  }
  return part;
}

}  // namespace

bool is_multipart(std::string_view content_type) {
  constexpr std::string_view kType = "multipart/form-data";
  return lower_case(std::string(content_type.substr(0, kType.size()))) == kType;
}

std::vector<Part> parse_multipart(std::string_view body, std::string_view content_type) {
  const std::string delimiter = "\r\n--" + boundary_of(content_type);
  const auto cut = [] { fail(ErrorCode::kBadFormat, "multipart/form-data: the body is cut off"); };
  // The first delimiter may lack the line break before it.
  size_t at = 0;
  if (body.starts_with(std::string_view(delimiter).substr(2))) {
    at = delimiter.size() - 2;
  } else {
    at = body.find(delimiter);
    if (at == kNone) cut();
    at += delimiter.size();
  }
  std::vector<Part> parts;
  while (!body.substr(at).starts_with("--")) {
    require(parts.size() < kMaxParts, ErrorCode::kTooLarge,
            "multipart/form-data: more than {} parts", kMaxParts);
    at = body.find("\r\n", at);  // blanks may follow a delimiter
    if (at == kNone) cut();
    // A part without any header begins with an empty line.
    const size_t head_end = body.substr(0, at + 2 + kMaxPartHead).find("\r\n\r\n", at);
    require(head_end != kNone, ErrorCode::kBadFormat,
            "multipart/form-data: a part has no head, or one of more than {} bytes", kMaxPartHead);
    Part part = part_of(body.substr(at + 2, head_end > at ? head_end - at - 2 : 0));
    const size_t begin = head_end + 4;
    at = body.find(delimiter, begin - 2);  // an empty part shares the line break
    if (at == kNone) cut();
    part.content = at > begin ? body.substr(begin, at - begin) : "";
    parts.push_back(std::move(part));
    at += delimiter.size();
  }
  return parts;
}

}  // namespace asmlp::server
