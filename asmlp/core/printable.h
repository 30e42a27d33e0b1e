// Text of unknown origin (file names, class names, names of tensors) for terminals.
#pragma once

#include <string>
#include <string_view>

namespace asmlp {

enum class LineBreaks { kKeep, kEscape };

// The text without anything that a terminal would obey: control characters (escape sequences among
// them) and bytes that are no UTF-8 become \n, \t, \x1b, ..., marks that turn the direction of
// writing \u202e, .... Everything else is kept. With kKeep, line breaks and tabs stay: for text of
// several lines.
std::string printable(std::string_view text, LineBreaks breaks);

}  // namespace asmlp
