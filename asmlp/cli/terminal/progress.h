// A progress bar for long loops: redrawn in place on a terminal, a few plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <string>

namespace asmlp::cli {

// Where a bar goes. detect() asks standard error what it is; the width is COLUMNS of the
// environment, else the terminal's. It is quiet when the console is (set_quiet).
struct ProgressStyle {
  std::ostream* out = nullptr;  // null: standard error
  bool terminal = false;        // redraw one line instead of printing lines
  int columns = 80;             // no line of a bar is wider
  bool quiet = false;           // draw nothing; what print() is given is still said
  static ProgressStyle detect();
};

// One loop over `total` things. On a terminal the line is redrawn at most ten times a second:
//   validate  43%|########            | 4300/10000 [00:12<00:16, 351 images/s] Acc@1 93.12
// elsewhere (a file, CI) a line is printed when another tenth is done:
//   validate: 4300/10000 (43%), 351 images/s, 00:16 left, Acc@1 93.12
// What has no room is left out: first the bar, then counts, times and rate; label and details stay.
// Labels, details and lines are escaped by printable: they may hold names from files.
// Not thread-safe. Never throws because of the stream.
class Progress {
 public:
  // `total` <= 0 means unknown: the count and the rate are shown, no bar.
  Progress(const std::string& label, int64_t total, const std::string& unit,
           ProgressStyle style = ProgressStyle::detect());
  // Ends the line if finish() was not called (an exception passed by).
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` things are over, out of total; `details` is appended (running accuracy, loss, ...).
  void update(int64_t done, const std::string& details = "");
  // Prints a whole line above the bar (a warning, say) without tearing it.
  void print(const std::string& line);
  // Draws the last state and ends the line. Further calls do nothing.
  void finish(const std::string& details = "");

  double seconds() const;  // since construction
  double rate() const;     // things per second so far; 0 before the first

 private:
  std::string line() const;
  void draw();
  void clear();

  std::string label_;
  std::string unit_;
  std::string details_;
  int64_t total_;
  int64_t done_ = 0;
  int64_t printed_tenth_ = 0;
  ProgressStyle style_;
  bool visible_ = false;
  bool finished_ = false;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point drawn_;
};

// The first of `lines`, which become shorter, that takes at most `columns`; else the last.
std::string first_fitting(std::initializer_list<std::string> lines, int columns);

// Seconds as "00:16", "1:02:03"; "--:--" when not finite or negative.
std::string format_duration(double seconds);

}  // namespace asmlp::cli
