#include "asmlp/cli_torch/train/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/error.h"
#include "asmlp/core/printable.h"
#include "asmlp/core/thread_pool.h"
#include "asmlp/torch/distributed/rendezvous.h"
#include "asmlp/torch/distributed/system_limits.h"
#include "asmlp/torch/distributed/token.h"

extern char** environ;

namespace asmlp::cli {
namespace {

using Clock = std::chrono::steady_clock;

// The launcher's process id: tells a worker from a process that only inherited RANK and the like.
constexpr const char* kLauncherVariable = "ASMLP_LAUNCHER";

// After a failure, the others get this long to notice it themselves and say what they saw, before
// SIGKILL.
constexpr std::chrono::seconds kGrace{10};

// Signals become bytes in a pipe, so that one poll() sees everything. (Blocking them and reading a
// signalfd would need every thread of LibTorch's to block them too.)
int signal_pipe[2] = {-1, -1};

extern "C" void note_signal(int number) {
  const int saved = errno;
  const auto byte = static_cast<unsigned char>(number);
  [[maybe_unused]] const ssize_t written = ::write(signal_pipe[1], &byte, 1);
  errno = saved;
}

constexpr int kHandled[] = {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCHLD};

class SignalPipe {
 public:
  SignalPipe() {
    require(::pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) == 0, ErrorCode::kIo,
            "cannot make a pipe: {}", std::strerror(errno));
    struct sigaction action {};
    action.sa_handler = note_signal;
    action.sa_flags = SA_RESTART;
    for (const int number : kHandled) {
      ::sigaction(number, &action, &before_[number]);
      // nohup
      if (number == SIGHUP && before_[number].sa_handler == SIG_IGN) ::signal(SIGHUP, SIG_IGN);
    }
  }
  ~SignalPipe() {
    for (const auto& [number, action] : before_) ::sigaction(number, &action, nullptr);
    for (int& end : signal_pipe) ::close(std::exchange(end, -1));
  }
  SignalPipe(const SignalPipe&) = delete;
  SignalPipe& operator=(const SignalPipe&) = delete;

 private:
  std::map<int, struct sigaction> before_;
};

struct Worker {
  pid_t pid = 0;  // 0 when it has ended
  int output = -1;
  std::string line;  // of its output, not yet ended
};

class Launcher {
 public:
  Launcher(int nproc, int threads, std::span<const char* const> arguments)
      : workers_(static_cast<size_t>(nproc)),
        threads_(threads),
        arguments_(arguments.begin(), arguments.end()) {
    arguments_.push_back(nullptr);
  }
  ~Launcher() {
    for (Worker& worker : workers_) {
      if (worker.pid != 0) ::kill(worker.pid, SIGKILL);
      if (worker.pid != 0) ::waitpid(worker.pid, nullptr, 0);
      if (worker.output >= 0) ::close(worker.output);
    }
  }
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  int run() {
    const std::string port = std::to_string(dist::free_port());
    for (size_t rank = 0; rank < workers_.size(); ++rank) start(rank, port);
    while (running() || listening()) {
      wait();
      if (deadline_ && Clock::now() >= *deadline_) {
        deadline_.reset();
        send_all(SIGKILL);
      }
    }
    return code_;
  }

 private:
  bool running() const {
    return std::ranges::any_of(workers_, [](const Worker& w) { return w.pid != 0; });
  }
  bool listening() const {
    return std::ranges::any_of(workers_, [](const Worker& w) { return w.output >= 0; });
  }
  void send_all(int number) {
    for (const Worker& worker : workers_) {
      if (worker.pid != 0) ::kill(worker.pid, number);
    }
  }

  std::vector<std::string> environment(size_t rank, const std::string& port) const {
    const std::string nproc = std::to_string(workers_.size());
    std::map<std::string, std::string> ours{
        {"RANK", std::to_string(rank)},
        {"WORLD_SIZE", nproc},
        {"LOCAL_RANK", std::to_string(rank)},
        {"LOCAL_WORLD_SIZE", nproc},
        {"MASTER_ADDR", "127.0.0.1"},
        {"MASTER_PORT", port},
        {dist::kTokenVariable, token_},
        {kLauncherVariable, std::to_string(::getpid())},
        {"OMP_NUM_THREADS", std::to_string(threads_)},
    };
    if (!std::getenv("NCCL_SOCKET_IFNAME")) ours["NCCL_SOCKET_IFNAME"] = "lo";
    std::vector<std::string> result;
    for (const auto& [name, value] : ours) result.push_back(name + '=' + value);
    for (char** entry = environ; *entry; ++entry) {
      const std::string name(*entry, std::strcspn(*entry, "="));
      if (!ours.contains(name) && name != "TORCHELASTIC_USE_AGENT_STORE")
        result.emplace_back(*entry);
    }
    return result;
  }

  void start(size_t rank, const std::string& port) {
    std::error_code error;
    const std::string self = std::filesystem::read_symlink("/proc/self/exe", error).string();
    require(!error, ErrorCode::kIo, "--nproc: cannot find the own program: {}", error.message());
    std::vector<std::string> entries = environment(rank, port);
    std::vector<char*> envp;
    for (std::string& entry : entries) envp.push_back(entry.data());
    envp.push_back(nullptr);
    int output[2] = {-1, -1};
    require(rank == 0 || ::pipe2(output, O_CLOEXEC) == 0, ErrorCode::kIo, "cannot make a pipe: {}",
            std::strerror(errno));
    const pid_t launcher = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) {
      // Between fork and exec only what is safe in a process with threads. A group of its own: what
      // the terminal sends (Ctrl-C) comes once, from the launcher.
      ::setpgid(0, 0);
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      const bool ready = rank == 0 || (::dup2(output[1], 1) >= 0 && ::dup2(output[1], 2) >= 0);
      if (ready && ::getppid() == launcher) {
        ::execve(self.c_str(), const_cast<char* const*>(arguments_.data()), envp.data());
      }
      ::_exit(127);
    }
    const int failure = errno;
    if (output[1] >= 0) ::close(output[1]);
    workers_[rank].output = output[0];
    require(pid > 0, ErrorCode::kIo, "cannot start process {} of {}: {}", rank + 1, workers_.size(),
            std::strerror(failure));
    workers_[rank].pid = pid;
  }

  // Until something happens: a signal, an end, output, or the end of the grace.
  void wait() {
    std::vector<pollfd> sources{{signal_pipe[0], POLLIN, 0}};
    std::vector<size_t> ranks{0};
    for (size_t rank = 0; rank < workers_.size(); ++rank) {
      if (workers_[rank].output < 0) continue;
      sources.push_back({workers_[rank].output, POLLIN, 0});
      ranks.push_back(rank);
    }
    int timeout = -1;
    if (deadline_) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(*deadline_ - Clock::now());
      timeout = std::max(0, static_cast<int>(left.count()) + 1);
    }
    if (::poll(sources.data(), sources.size(), timeout) <= 0) return;
    for (size_t i = 1; i < sources.size(); ++i) {
      if (sources[i].revents != 0) read_output(ranks[i]);
    }
    unsigned char number = 0;
    while (sources[0].revents != 0 && ::read(signal_pipe[0], &number, 1) == 1) take(number);
  }

  void take(int number) {
    if (number == SIGCHLD) {
      for (size_t rank = 0; rank < workers_.size(); ++rank) {
        int status = 0;
        const pid_t pid = workers_[rank].pid;
        if (pid != 0 && ::waitpid(pid, &status, WNOHANG) == pid) {
          workers_[rank].pid = 0;
          ended(rank, pid, status);
        }
      }
    } else if (number == SIGTSTP) {
      send_all(SIGSTOP);
      ::raise(SIGSTOP);
      send_all(SIGCONT);
    } else {
      stop_signal_ = number;
      send_all(number);
    }
  }

  void ended(size_t rank, pid_t pid, int status) {
    const bool killed = WIFSIGNALED(status);
    const int code = killed ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (code == 0) return;
    const bool first = code_ == 0;
    if (first) code_ = code;
    if (stop_signal_ && code == 128 + *stop_signal_) return;  // as it was told
    if (!first) return;                                       // it ended because the first one did
    print_error(killed
                    ? fmt::format("rank {} (process {}) was killed by signal {} ({})", rank, pid,
                                  WTERMSIG(status), ::strsignal(WTERMSIG(status)))
                    : fmt::format("rank {} (process {}) ended with exit code {}", rank, pid, code));
    if (!running()) return;
    print_note(
        "ending the other processes; the run continues from its last state with --resume, on "
        "any number of processes");
    send_all(SIGTERM);
    send_all(SIGCONT);  // a stopped process would not hear of it
    deadline_ = Clock::now() + kGrace;
  }

  void read_output(size_t rank) {
    Worker& worker = workers_[rank];
    char buffer[4096];
    const ssize_t size = ::read(worker.output, buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) return;
    worker.line.append(buffer, static_cast<size_t>(std::max<ssize_t>(size, 0)));
    if (size <= 0) {
      ::close(std::exchange(worker.output, -1));
      if (!worker.line.empty()) worker.line += '\n';
    }
    for (size_t end; (end = worker.line.find('\n')) != std::string::npos;) {
      print_screen(fmt::format("[rank {}] {}\n", rank, printable(worker.line.substr(0, end))));
      worker.line.erase(0, end + 1);
    }
  }

  std::vector<Worker> workers_;  // by rank
  int threads_;                  // of each
  std::vector<const char*> arguments_;
  const std::string token_ = dist::make_token();
  int code_ = 0;
  std::optional<int> stop_signal_;
  std::optional<Clock::time_point> deadline_;
};

}  // namespace

WorkerThreads divide_threads(int nproc, int wanted, const char* environment, int cores) {
  const int set = environment ? std::clamp(std::atoi(environment), 0, 256) : 0;
  const auto count = [](int number, const char* what, const char* many) {
    return fmt::format("{} {}", number, number == 1 ? what : many);
  };
  WorkerThreads result;
  result.threads = wanted > 0 ? wanted : set > 0 ? set : std::max(1, cores / nproc);
  const char* from = wanted > 0 ? "--threads" : set > 0 ? "OMP_NUM_THREADS" : nullptr;
  const std::string each = fmt::format("{} of {}", count(nproc, "process", "processes"),
                                       count(result.threads, "thread", "threads"));
  if (nproc * result.threads <= cores) {
    result.note =
        fmt::format("{} each ({})", each,
                    from ? from : fmt::format("{} divided", count(cores, "core", "cores")));
    return result;
  }
  const int fitting = cores / nproc;
  result.note = fmt::format(
      "{} each{} are more than the {} that this machine gives: they wait for one another; {}", each,
      from ? fmt::format(" ({})", from) : "", count(cores, "core", "cores"),
      from && fitting >= 1 ? fmt::format("leave {} out, which makes it {} each", from,
                                         count(fitting, "thread", "threads"))
                           : fmt::format("--nproc {} is faster", cores));
  return result;
}

int launch_workers(int nproc, int threads, std::span<const char* const> arguments) {
  require(nproc >= 1 && nproc <= kMaxWorkers, ErrorCode::kInvalidArgument,
          "nproc is {}, must be between 1 and {}", nproc, kMaxWorkers);
  // A pipe of this program and the output of all workers but one, and what a worker, which is as
  // limited, needs; better said before they start.
  constexpr int kOwn = 6;
  const int unused = dist::free_descriptors();
  const int needed = std::max(kOwn + nproc, dist::descriptors_needed(nproc));
  require(nproc == 1 || unused >= needed, ErrorCode::kIo,
          "--nproc {}: this takes {} files and sockets, the system gives this process {} more; "
          "raise `ulimit -n` by {}",
          nproc, needed, unused, needed - unused);
  const WorkerThreads divided =
      divide_threads(nproc, threads, std::getenv("OMP_NUM_THREADS"), available_cores());
  print_note(fmt::format("--nproc {}: {}", nproc, divided.note));
  const SignalPipe signals;
  return Launcher(nproc, divided.threads, arguments).run();
}

bool is_launched_worker() {
  const char* launcher = std::getenv(kLauncherVariable);
  return launcher && std::to_string(::getppid()) == launcher;
}

}  // namespace asmlp::cli
