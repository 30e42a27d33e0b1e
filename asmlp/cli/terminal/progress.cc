#include "asmlp/cli/terminal/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/printable.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Three digits are enough at any speed: "0.42", "12.3", "351".
std::string format_rate(double rate) {
  return rate < 10 ? fmt::format("{:.2f}", rate) : fmt::format("{:.{}f}", rate, rate < 100 ? 1 : 0);
}

// COLUMNS of the environment; 0 when it is not set or no width.
int wanted_columns() {
  const char* text = std::getenv("COLUMNS");
  const int columns = text != nullptr ? std::atoi(text) : 0;
  return columns > 0 ? columns : 0;
}

// A terminal that cannot redraw a line. (NO_COLOR is about colors, of which there are none.)
bool is_dumb_terminal() {
  const char* kind = std::getenv("TERM");
  return kind != nullptr && (std::string(kind) == "dumb" || *kind == '\0');
}

std::string bar_text(int64_t done, int64_t total, int cells) {
  const int filled = static_cast<int>(done * cells / total);
  std::string bar;
  for (int i = 0; i < cells; ++i) bar += i < filled ? "\u2588" : "\u00b7";
  return bar;
}

}  // namespace

std::string first_fitting(std::initializer_list<std::string> lines, int columns) {
  for (const std::string& line : lines) {
    if (display_width(line) <= columns) return line;
  }
  return lines.size() > 0 ? *(lines.end() - 1) : "";
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e8) return "--:--";
  const int64_t whole = std::llround(seconds);
  if (whole >= 3600) {
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  }
  return fmt::format("{:02}:{:02}", whole / 60, whole % 60);
}

ProgressStyle ProgressStyle::detect() {
  ProgressStyle style;
  style.quiet = asmlp::cli::quiet();
  style.terminal = !style.quiet && ::isatty(STDERR_FILENO) == 1 && !is_dumb_terminal();
  winsize size{};
  if (const int columns = wanted_columns(); columns > 0) {
    style.columns = columns;
  } else if (style.terminal && ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    style.columns = size.ws_col;
  }
  return style;
}

Progress::Progress(const std::string& label, int64_t total, const std::string& unit,
                   ProgressStyle style)
    : label_(printable(label)),
      unit_(printable(unit)),
      total_(total),
      style_(style),
      start_(Clock::now()),
      drawn_(start_) {
  if (style_.out == nullptr) style_.out = &std::cerr;
  if (style_.quiet) style_.terminal = false;
}

Progress::~Progress() {
  if (!finished_ && visible_) *style_.out << '\n' << std::flush;
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

double Progress::rate() const {
  const double elapsed = seconds();
  return elapsed > 0 ? static_cast<double>(done_) / elapsed : 0;
}

std::string Progress::line() const {
  const double speed = rate();
  const std::string rate_text = fmt::format("{} {}/s", format_rate(speed), unit_);
  const std::string left =
      format_duration(speed > 0 ? static_cast<double>(total_ - done_) / speed : INFINITY);
  if (total_ <= 0) {
    return fmt::format("{}: {} {}, {}{}{}", label_, done_, unit_, rate_text,
                       details_.empty() ? "" : ", ", details_);
  }
  const int64_t percent = done_ * 100 / total_;
  const std::string end = details_.empty() ? "" : (style_.terminal ? " " : ", ") + details_;
  if (!style_.terminal) {
    const std::string head = fmt::format("{}: {}/{} ({}%)", label_, done_, total_, percent);
    const std::string time =
        done_ < total_ ? ", " + left + " left" : " in " + format_duration(seconds());
    return first_fitting({fmt::format("{}, {}{}{}", head, rate_text, time, end),
                          head + (done_ < total_ ? time : "") + end, head + end},
                         style_.columns);
  }
  const int columns = style_.columns - 1;  // a character in the last one makes some terminals wrap
  const std::string head = fmt::format("{} {:3}%", label_, percent);
  const std::string count = fmt::format(" {}/{}", done_, total_);
  const std::string times =
      fmt::format(" [{}<{}, {}]", format_duration(seconds()), left, rate_text);
  // The bar takes what is left of the line, within reason.
  const int room = columns - 2 - display_width(head + count + times + end);
  if (room >= 5) {
    return head + '|' + bar_text(done_, total_, std::min(room, 30)) + '|' + count + times + end;
  }
  return first_fitting(
      {head + count + times + end, head + times + end, head + ' ' + rate_text + end, head + end},
      columns);
}

void Progress::clear() {
  if (visible_) *style_.out << "\r\x1b[2K";
  visible_ = false;
}

void Progress::draw() {
  clear();
  *style_.out << truncated(line(), style_.columns - 1) << std::flush;
  visible_ = true;
  drawn_ = Clock::now();
}

void Progress::update(int64_t done, const std::string& details) {
  if (finished_) return;
  done_ = total_ > 0 ? std::min(done, total_) : done;
  details_ = printable(details);
  if (style_.terminal) {
    if (!visible_ || Clock::now() - drawn_ >= std::chrono::milliseconds(100)) draw();
    return;
  }
  if (total_ > 0) {
    // The last tenth is left to finish().
    const int64_t tenth = done_ * 10 / total_;
    if (tenth == printed_tenth_ || tenth >= 10) return;
    printed_tenth_ = tenth;
  } else if (Clock::now() - drawn_ < std::chrono::seconds(10)) {
    return;
  }
  drawn_ = Clock::now();
  if (!style_.quiet) *style_.out << line() << '\n' << std::flush;
}

void Progress::print(const std::string& line) {
  clear();
  *style_.out << printable(line, LineBreaks::kIndented) << '\n' << std::flush;
  if (style_.terminal && !finished_) draw();
}

void Progress::finish(const std::string& details) {
  if (finished_) return;
  if (!details.empty()) details_ = printable(details);
  if (style_.terminal) {
    draw();
    *style_.out << '\n' << std::flush;
    visible_ = false;
  } else if (!style_.quiet) {
    *style_.out << line() << '\n' << std::flush;
  }
  finished_ = true;
}

}  // namespace asmlp::cli
