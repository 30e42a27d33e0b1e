#include "asmlp/cli/options/other_program.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <vector>

#include "asmlp/cli/terminal/process.h"
#include "asmlp/core/error.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

bool is_program(const fs::path& path) {
  return fs::is_regular_file(path) && ::access(path.c_str(), X_OK) == 0;
}

// An empty path when there is none.
fs::path look_for_program(const std::string& name) {
  const fs::path beside = this_program().parent_path() / name;
  if (is_program(beside)) return beside;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path candidate = fs::path(folder.empty() ? "." : folder) / name;
    if (is_program(candidate)) return candidate;
  }
  return {};
}

}  // namespace

fs::path find_program(const OtherProgram& other, const std::string& what) {
  const fs::path program = look_for_program(other.name);
  require(!program.empty(), ErrorCode::kUnsupported,
          "{} needs the program {}, which is neither in {} nor on PATH; {}", what, other.name,
          this_program().parent_path().string(), other.advice);
  return program;
}

void exec_program(const fs::path& program, Arguments arguments) {
  std::string name = program.string();
  std::vector<char*> words{name.data()};
  for (const char* word : arguments) words.push_back(const_cast<char*>(word));
  words.push_back(nullptr);
  ::execv(name.c_str(), words.data());
  fail(ErrorCode::kIo, "{}: cannot run it: {}", name, std::strerror(errno));
}

Command add_other_command(CLI::App& program, const OtherProgram& other, const std::string& name,
                          const std::string& description, Arguments arguments) {
  CLI::App* app =
      program.add_subcommand(name, description + " (" + other.name + " has its options)");
  app->set_help_flag();
  app->prefix_command();
  const std::string what = "`" + name + "`";
  return {app,
          [what, other, arguments]() -> int {
            exec_program(find_program(other, what), arguments.subspan(1));
          },
          [name, what, other]() -> int {
            const char* const words[]{name.c_str(), "--help"};
            exec_program(find_program(other, what), words);
          },
          [name, other]() -> std::optional<CommandTable> {
            const fs::path found = look_for_program(other.name);
            if (found.empty()) return std::nullopt;
            const ChildOutcome outcome = run_child(found, {"help", "--table"});
            require(outcome.code == 0, ErrorCode::kIo, "{} help --table: exit code {}",
                    found.string(), outcome.code);
            const CommandTable table = table_from_json(outcome.out, found.string());
            const CommandTable* command = table.find(name);
            if (command == nullptr) return std::nullopt;
            return *command;
          }};
}

}  // namespace asmlp::cli
