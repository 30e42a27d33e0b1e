// Text of unknown origin (file names, class names, names of tensors) for terminals.
#pragma once

#include <string>
#include <string_view>

namespace asmlp {

enum class LineBreaks {
  kEscape,    // \n and \t: a name, a cell, one line
  kKeep,      // as they are: text of several lines, whose foreign parts are printable already
  kIndented,  // line breaks before two blanks stay, others and tabs are escaped: a message. Names
              // in it that hold line breaks cannot begin a line that looks like another message.
};

// The text without anything that a terminal would obey: control characters (escape sequences among
// them) and bytes that are no UTF-8 become \n, \t, \x1b, ..., marks that turn the direction of
// writing or separate lines \u202e, .... Everything else is kept. Never throws for any bytes.
std::string printable(std::string_view text, LineBreaks breaks = LineBreaks::kEscape);

// JSON text with the control characters and marks that JSON allows unescaped within strings (DEL,
// C1, those of direction and lines) as \u009b, \u202e, ...: the same document, safe to show.
// `json` must be UTF-8.
std::string printable_json(std::string_view json);

}  // namespace asmlp
