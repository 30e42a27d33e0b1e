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
inline constexpr int kExitBrokenPipe = 141;

// Thrown by print_out when nobody reads standard output any more; ends the program quietly.
struct BrokenPipe {};

// Text for people on standard output, escaped by printable with LineBreaks::kKeep: what comes from
// files (names of classes, of files, ...) has to be printable already, or it could break the line.
// Error(kIo) when the system refuses (a full disk).
void print_out(std::string_view text);

// A JSON document on standard output. File names that are not UTF-8 get replacement characters.
void print_json(const Json& json);

// The text of print_json: nothing in it is obeyed by a terminal.
std::string to_text(const Json& json);

// Opens what is missing of standard input, output, and error, so that no file that is opened later
// takes its place and is written into. Reading and writing these fails as before. First in main.
void open_standard_streams();

// Ignores SIGPIPE and sends the library's messages (core/log.h) to standard error as
// "<program>: warning: ...".
void start_console(const std::string& program);

// Shows messages from information and debugging level up too.
void set_verbose(bool verbose);

// With true, print_note and the library's messages say nothing more, and neither do progress bars
// (ProgressStyle::detect). Errors stay.
void set_quiet(bool quiet);
bool quiet();

// "<program>: note: ..." and "<program>: error: ..." on standard error. Line breaks stay before two
// blanks only (LineBreaks::kIndented): indent the further lines of a message. What standard error
// does not take is lost.
void print_note(const std::string& message);
void print_error(const std::string& message);
// The line that print_error writes, for a display that keeps a progress bar in place.
std::string error_line(const std::string& message);

// Other text on standard error: tables and displays, escaped as print_out does; write_screen as it
// is, for displays that move the cursor.
void print_screen(std::string_view text);
void write_screen(std::string_view text);

// True when standard output is a terminal.
bool out_is_terminal();

}  // namespace asmlp::cli
