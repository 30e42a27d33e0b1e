#include "asmlp/report/table.h"

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"

namespace asmlp {
namespace {

// True for the first byte of a code point.
bool begins_code_point(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

// A bar would end the cell.
std::string markdown_cell(const std::string& text) {
  std::string cell;
  for (const char c : text) cell += c == '|' ? "\\|" : std::string(1, c);
  return cell;
}

}  // namespace

// Names of classes and files may hold anything; a line break would end the row.
Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (Column& column : columns_) column.title = printable(column.title);
}

void Table::add_row(std::vector<std::string> cells) {
  require(cells.size() == columns_.size(), ErrorCode::kInvalidArgument,
          "a table row has {} cells, expected {}", cells.size(), columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::str(int indent) const {
  std::vector<std::string> titles;
  bool has_titles = false;
  for (const Column& column : columns_) {
    titles.push_back(column.title);
    has_titles = has_titles || !column.title.empty();
  }
  std::vector<int> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    int width = display_width(titles[c]);
    for (const auto& row : rows_) width = std::max(width, display_width(row[c]));
    widths.push_back(width);
  }
  std::string text;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line(static_cast<size_t>(indent), ' ');
    for (size_t c = 0; c < cells.size(); ++c) {
      const std::string space(static_cast<size_t>(widths[c] - display_width(cells[c])), ' ');
      line += (c > 0 ? "  " : "");
      line += columns_[c].align == Align::kRight ? space + cells[c] : cells[c] + space;
    }
    const size_t last = line.find_last_not_of(' ');
    line.resize(last == std::string::npos ? 0 : last + 1);
    text += line + '\n';
  };
  if (has_titles) {
    add_line(titles);
    std::vector<std::string> rules;
    for (int width : widths) rules.emplace_back(static_cast<size_t>(width), '-');
    add_line(rules);
  }
  for (const auto& row : rows_) add_line(row);
  return text;
}

std::string Table::markdown() const {
  std::string text = "|";
  for (const Column& column : columns_) text += ' ' + markdown_cell(column.title) + " |";
  text += "\n|";
  for (const Column& column : columns_) text += column.align == Align::kRight ? "---:|" : "---|";
  text += '\n';
  for (const auto& row : rows_) {
    text += '|';
    for (const std::string& cell : row) text += ' ' + markdown_cell(cell) + " |";
    text += '\n';
  }
  return text;
}

int display_width(const std::string& text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), begins_code_point));
}

std::string truncated(const std::string& whole, int columns) {
  const std::string text = printable(whole);
  if (display_width(text) <= columns) return text;
  std::string cut;
  int width = 0;
  for (char byte : text) {
    if (begins_code_point(byte) && ++width >= columns) break;
    cut += byte;
  }
  return columns > 0 ? cut + "\u2026" : "";
}

std::string group_digits(int64_t value) {
  std::string digits = std::to_string(value);
  const size_t sign = value < 0 ? 1 : 0;
  for (size_t i = digits.size(); i > sign + 3;) digits.insert(i -= 3, 1, ',');
  return digits;
}

std::string format_bytes(double bytes) {
  const char* const units[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < std::size(units)) {
    bytes /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 || bytes >= 100 ? 0 : 1, units[unit]);
}

std::string csv_line(const std::vector<std::string>& cells) {
  std::string line;
  for (const std::string& cell : cells) {
    if (&cell != &cells.front()) line += ',';
    if (cell.find_first_of(",\"\r\n") == std::string::npos) {
      line += cell;
      continue;
    }
    line += '"';
    for (char c : cell) {
      if (c == '"') line += '"';
      line += c;
    }
    line += '"';
  }
  return line + '\n';
}

}  // namespace asmlp
