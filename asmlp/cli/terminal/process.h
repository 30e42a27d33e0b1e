// Other processes, and what this one takes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace asmlp::cli {

struct ChildOutcome {
  int code = 0;     // exit code, or 128 + the signal that ended it
  std::string out;  // its standard output
};

// Runs `program` with `arguments` (without the program's name) and waits for it; standard error is
// shared. Error(kIo) when it cannot be started.
ChildOutcome run_child(const std::filesystem::path& program,
                       const std::vector<std::string>& arguments);

// The running executable.
std::filesystem::path this_program();

// Ends this process at once with what is printed so far: its threads and its libraries' own endings
// are left out. (An int, so that it can be returned.)
[[noreturn]] int end_process(int code);

// The largest resident memory of this process so far, in bytes; 0 when the system does not say.
int64_t peak_memory();

}  // namespace asmlp::cli
