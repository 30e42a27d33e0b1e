#include "asmlp/cli/terminal/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "asmlp/core/error.h"

namespace asmlp::cli {

ChildOutcome run_child(const std::filesystem::path& program,
                       const std::vector<std::string>& arguments) {
  std::string name = program.string();
  std::vector<char*> argv{name.data()};
  for (const std::string& word : arguments) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  int ends[2];
  require(::pipe2(ends, O_CLOEXEC) == 0, ErrorCode::kIo, "cannot make a pipe to {}: {}", name,
          std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t child = 0;
  const int failed = posix_spawn(&child, name.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  ChildOutcome outcome;
  if (failed == 0) {
    char buffer[1 << 14];
    for (;;) {
      const ssize_t count = ::read(ends[0], buffer, sizeof buffer);
      if (count > 0) outcome.out.append(buffer, static_cast<size_t>(count));
      if (count == 0 || (count < 0 && errno != EINTR)) break;
    }
  }
  ::close(ends[0]);
  require(failed == 0, ErrorCode::kIo, "{}: cannot run it: {}", name, std::strerror(failed));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

std::filesystem::path this_program() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  require(!error, ErrorCode::kIo, "/proc/self/exe: {}; a new process cannot be started without it",
          error.message());
  return self;
}

int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::atoll(line.c_str() + 6) * 1024;
  }
  return 0;
}

int end_process(int code) {
  std::fflush(nullptr);
  ::_exit(code);
}

}  // namespace asmlp::cli
