#include "asmlp/cli/options/torch_program.h"

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
fs::path look_for_torch_program() {
  const fs::path beside = this_program().parent_path() / "asmlp-torch";
  if (is_program(beside)) return beside;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path candidate = fs::path(folder.empty() ? "." : folder) / "asmlp-torch";
    if (is_program(candidate)) return candidate;
  }
  return {};
}

}  // namespace

fs::path find_torch_program(const std::string& what) {
  const fs::path program = look_for_torch_program();
  require(!program.empty(), ErrorCode::kUnsupported,
          "{} needs the program asmlp-torch, which is neither in {} nor on PATH; build it with "
          "LibTorch: `scripts/install_deps.sh && cmake --preset release && cmake --build --preset "
          "release`",
          what, this_program().parent_path().string());
  return program;
}

void exec_torch(const std::string& what, Arguments arguments, std::optional<Task> task) {
  const fs::path program = find_torch_program(what);
  std::string name = program.string();
  std::string decided = fmt::format("--task={}", task ? to_string(*task) : "");
  std::vector<char*> words{name.data()};
  for (size_t i = 1; i < arguments.size(); ++i) {
    words.push_back(const_cast<char*>(arguments[i]));
    if (i == 1 && task) words.push_back(decided.data());  // before the user's own, if any: it wins
  }
  words.push_back(nullptr);
  ::execv(name.c_str(), words.data());
  fail(ErrorCode::kIo, "{}: cannot run it: {}", name, std::strerror(errno));
}

Command add_torch_command(CLI::App& program, const std::string& name,
                          const std::string& description, Arguments arguments) {
  CLI::App* app = program.add_subcommand(name, description + " (asmlp-torch has its options)");
  app->set_help_flag();
  app->prefix_command();
  const std::string what = "`" + name + "`";
  return {app, [what, arguments]() -> int { exec_torch(what, arguments); },
          [name, what, arguments]() -> int {
            const char* const words[]{arguments.front(), name.c_str(), "--help"};
            exec_torch(what, words);
          },
          [name]() -> std::optional<CommandTable> {
            const fs::path torch = look_for_torch_program();
            if (torch.empty()) return std::nullopt;
            const ChildOutcome outcome = run_child(torch, {"help", "--table"});
            require(outcome.code == 0, ErrorCode::kIo, "{} help --table: exit code {}",
                    torch.string(), outcome.code);
            const CommandTable table = table_from_json(outcome.out, torch.string());
            const CommandTable* found = table.find(name);
            if (found == nullptr) return std::nullopt;
            return *found;
          }};
}

}  // namespace asmlp::cli
