#include "asmlp/cli/terminal/console.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "asmlp/core/error.h"
#include "asmlp/core/input_file.h"
#include "asmlp/core/log.h"
#include "asmlp/core/printable.h"

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

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
  }
  return spdlog::level::warn;
}

}  // namespace

namespace {

void write_out(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return;
  }
  if (errno == EPIPE) throw BrokenPipe();
  fail(ErrorCode::kIo, "cannot write to standard output: {}", std::strerror(errno));
}

}  // namespace

void print_out(std::string_view text) { write_out(printable(text, LineBreaks::kKeep)); }

std::string to_text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

void print_json(const Json& json) { write_out(to_text(json)); }

void start_console(const std::string& program) {
  program_name() = program;
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // then writing beyond the limit fails, with a reason
  keep_piped_inputs();
  auto logger =
      std::make_shared<spdlog::logger>(program, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%n: %l: %v");
  logger->set_level(spdlog::level::warn);
  spdlog::set_default_logger(logger);
  set_log_callback([](LogLevel level, const std::string& message) {
    spdlog::log(to_spdlog(level), "{}", printable(message, LineBreaks::kKeep));
  });
}

void set_quiet(bool value) {
  quiet_flag() = value;
  if (value) spdlog::set_level(spdlog::level::off);
}

bool quiet() { return quiet_flag(); }

void set_verbose(bool verbose) {
  if (quiet()) return;
  spdlog::set_level(verbose ? spdlog::level::debug : spdlog::level::warn);
}

void print_note(const std::string& message) {
  if (quiet()) return;
  std::fprintf(stderr, "%s: note: %s\n", program_name().c_str(),
               printable(message, LineBreaks::kKeep).c_str());
}

std::string error_line(const std::string& message) {
  return program_name() + ": error: " + printable(message, LineBreaks::kKeep);
}

void print_error(const std::string& message) {
  std::fprintf(stderr, "%s\n", error_line(message).c_str());
}

bool out_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

}  // namespace asmlp::cli
