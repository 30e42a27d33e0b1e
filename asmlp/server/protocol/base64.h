// Bytes as text within JSON (RFC 4648).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace asmlp::server {

std::string encode_base64(std::string_view bytes);

// Nothing for text that is no base64 of the standard alphabet with its padding.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace asmlp::server
