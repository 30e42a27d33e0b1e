#include "asmlp/cli/terminal/console.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "asmlp/core/error.h"
#include "asmlp/core/input_file.h"
#include "asmlp/core/log.h"
#include "asmlp/core/printable.h"
#include "asmlp/core/write_all.h"

namespace asmlp::cli {
namespace {

// The name before every message; set once by start_console.
std::string& program_name() {
  static std::string name = "asmlp";
  return name;
}

bool& quiet_flag() {
  static bool quiet = false;
  return quiet;
}

// Messages of the library below it are not shown.
std::atomic<LogLevel>& least_level() {
  static std::atomic<LogLevel> level = LogLevel::kWarning;
  return level;
}

const char* name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
  }
  return "warning";
}

// One call per line: lines of several threads and processes do not mix.
std::string line_of(const char* kind, std::string_view message) {
  return fmt::format("{}: {}: {}", program_name(), kind, printable(message, LineBreaks::kIndented));
}

void print_line(const char* kind, std::string_view message) {
  write_all(STDERR_FILENO, line_of(kind, message) + '\n', OnSignal::kGoOn);
}

void write_out(std::string_view text) {
  const int error = write_all(STDOUT_FILENO, text, OnSignal::kGoOn);
  if (error == EPIPE) throw BrokenPipe();
  require(error == 0, ErrorCode::kIo, "cannot write to standard output: {}", std::strerror(error));
}

}  // namespace

void print_out(std::string_view text) { write_out(printable(text, LineBreaks::kKeep)); }

void write_screen(std::string_view text) { write_all(STDERR_FILENO, text, OnSignal::kGoOn); }

void print_screen(std::string_view text) { write_screen(printable(text, LineBreaks::kKeep)); }

void open_standard_streams() {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    if (::fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
    // The wrong way round, so that reading and writing fail as they did. The lowest free number is
    // the one that is missing.
    const int mode = stream == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    if (::open("/dev/null", mode) != stream) std::_Exit(kExitFailed);
  }
}

std::string to_text(const Json& json) {
  return printable_json(json.dump(2, ' ', false, Json::error_handler_t::replace)) + '\n';
}

void print_json(const Json& json) { write_out(to_text(json)); }

void start_console(const std::string& program) {
  program_name() = program;
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // then writing beyond the limit fails, with a reason
  keep_piped_inputs();
  set_log_callback([](LogLevel level, const std::string& message) {
    if (!quiet() && level >= least_level()) print_line(name_of(level), message);
  });
}

void set_quiet(bool value) { quiet_flag() = value; }

bool quiet() { return quiet_flag(); }

void set_verbose(bool verbose) { least_level() = verbose ? LogLevel::kDebug : LogLevel::kWarning; }

void print_note(const std::string& message) {
  if (!quiet()) print_line("note", message);
}

std::string error_line(const std::string& message) { return line_of("error", message); }

void print_error(const std::string& message) { print_line("error", message); }

bool out_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

}  // namespace asmlp::cli
