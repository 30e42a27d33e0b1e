// Bodies of multipart/form-data (RFC 7578): what browsers and `curl -F` send.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace asmlp::server {

struct Part {
  std::string name;      // of the field, "" where it has none
  std::string filename;  // "" of a field that is no file
  std::string_view content;
};

inline constexpr size_t kMaxParts = 64;
inline constexpr size_t kMaxPartHead = 4096;  // bytes

// True for a Content-Type of multipart/form-data, in any case.
bool is_multipart(std::string_view content_type);

// The parts in their order, pointing into `body`. The boundary comes from the Content-Type.
// Error(kBadFormat) for a missing boundary, an end that is not there (a truncated body), a part
// without a head, and what exceeds the limits above.
std::vector<Part> parse_multipart(std::string_view body, std::string_view content_type);

}  // namespace asmlp::server
