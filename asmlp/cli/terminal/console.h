// What the command says: results on standard output, everything else on standard error.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace asmlp::cli {

using Json = nlohmann::ordered_json;

// Exit codes of every subcommand. 128 + SIGPIPE (141) when the reader of standard output has gone.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // a runtime error, or some of the inputs failed
inline constexpr int kExitUsage = 2;   // unknown option, value out of range

// Thrown by print_out when nobody reads standard output any more; ends the program quietly.
struct BrokenPipe {};

// Writes to standard output and flushes. Error(kIo) when the system refuses (a full disk).
void print_out(std::string_view text);

// A JSON document on standard output. File names that are not UTF-8 get replacement characters.
void print_json(const Json& json);

// The text of print_json.
std::string to_text(const Json& json);

// Ignores SIGPIPE and sends the library's messages (core/log.h) to standard error as
// "<program>: warning: ...".
void start_console(const std::string& program);

// Shows messages from information and debugging level up too.
void set_verbose(bool verbose);

// With true, print_note and the library's messages say nothing more, and neither do progress bars
// (ProgressStyle::detect). Errors stay.
void set_quiet(bool quiet);
bool quiet();

// "<program>: note: ..." and "<program>: error: ..." on standard error.
void print_note(const std::string& message);
void print_error(const std::string& message);
// The line that print_error writes, for a display that keeps a progress bar in place.
std::string error_line(const std::string& message);

// True when standard output is a terminal.
bool out_is_terminal();

}  // namespace asmlp::cli
