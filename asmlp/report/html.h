// Text inside HTML and SVG.
#pragma once

#include <string>
#include <string_view>

namespace asmlp {

// Text as the content of an element or a quoted attribute: & < > " ' escaped, control characters
// (which no page may hold) replaced.
std::string escape_html(std::string_view text);

}  // namespace asmlp
