// Text for people: aligned tables, grouped digits, CSV lines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace asmlp {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

// Rows of cells under titles, each column as wide as its widest cell, two spaces between columns,
// no trailing spaces. When every title is empty there is no header.
class Table {
 public:
  // Titles and cells are shown as printable (core/printable.h) says: names may hold anything.
  explicit Table(std::vector<Column> columns);
  // Exactly one cell per column; Error(kInvalidArgument) otherwise.
  void add_row(std::vector<std::string> cells);
  // The lines, each ending in '\n' and starting with `indent` spaces.
  std::string str(int indent = 0) const;
  // The same as a Markdown table; '|' in cells is escaped.
  std::string markdown() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Columns that UTF-8 text takes on a terminal, one per code point.
int display_width(const std::string& text);

// At most `columns` code points of the text as printable shows it; a cut is shown by an ellipsis.
std::string truncated(const std::string& text, int columns);

// 28282696 -> "28,282,696".
std::string group_digits(int64_t value);

// Bytes as "4.6 MB" (decimal units).
std::string format_bytes(double bytes);

// One CSV record (RFC 4180 quoting) ending in '\n'.
std::string csv_line(const std::vector<std::string>& cells);

}  // namespace asmlp
