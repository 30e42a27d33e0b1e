#include "asmlp/study/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "asmlp/core/error.h"

namespace asmlp::study {
namespace {

// Between fork and exec: system calls only.
[[noreturn]] void become(char* const* argv, int out, int log, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() == parent && ::dup2(out, STDOUT_FILENO) >= 0 && ::dup2(log, STDERR_FILENO) >= 0) {
    ::execv(argv[0], argv);
  }
  ::_exit(127);
}

int open_for(const std::filesystem::path& path, int flags) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
  require(file >= 0, ErrorCode::kIo, "{}: cannot write: {}", path.string(), std::strerror(errno));
  return file;
}

}  // namespace

StudyChild::StudyChild(const std::filesystem::path& program,
                       const std::vector<std::string>& arguments, const std::filesystem::path& out,
                       const std::filesystem::path& log) {
  std::string name = program.string();
  std::vector<char*> argv{name.data()};
  for (const std::string& word : arguments) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const int out_file = open_for(out, O_TRUNC);
  const int log_file = open_for(log, O_APPEND);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) become(argv.data(), out_file, log_file, parent);
  const int error = errno;
  ::close(out_file);
  ::close(log_file);
  require(pid_ > 0, ErrorCode::kIo, "{}: cannot start it: {}", name, std::strerror(error));
}

StudyChild::~StudyChild() {
  if (pid_ <= 0 || ended_) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool StudyChild::ended() {
  if (ended_) return true;
  int status = 0;
  rusage usage{};
  if (::wait4(pid_, &status, WNOHANG, &usage) != pid_) return false;
  ended_ = true;
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  peak_memory_ = int64_t{usage.ru_maxrss} * 1024;
  return true;
}

void StudyChild::stop() {
  if (ended_ || stopped_) return;
  stopped_ = true;
  ::kill(pid_, SIGTERM);
}

StudyPosition read_position(const std::filesystem::path& log) {
  constexpr std::streamoff kTail = 4096;
  std::ifstream file(log, std::ios::binary | std::ios::ate);
  if (!file) return {};
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(0, size - kTail));
  StudyPosition position;
  for (std::string line; std::getline(file, line);) {
    long long epoch = 0, epochs = 0, step = 0, steps = 0;
    if (std::sscanf(line.c_str(), "epoch %lld/%lld step %lld/%lld", &epoch, &epochs, &step,
                    &steps) == 4 &&
        epoch >= 1 && epochs < 10'000'000 && steps < 1'000'000'000) {
      position = {(epoch - 1) * steps + step, epochs * steps};
    }
  }
  return position;
}

}  // namespace asmlp::study
