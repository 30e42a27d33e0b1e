#include "asmlp/core/out_of_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <string>
#include <system_error>

namespace asmlp {
namespace {

// LibTorch appends the C++ frames, and its checks begin with the source line.
std::string without_frames(std::string text) {
  for (const char* mark : {"\nException raised from ", "Exception raised from ", "\nframe #"}) {
    if (const size_t at = text.find(mark); at != std::string::npos) text.resize(at);
  }
  for (const char* check : {"[enforce fail at ", "[enforce fail "}) {
    const size_t begin = text.find(check), end = text.find("] . ", begin);
    if (begin != std::string::npos && end != std::string::npos) text.erase(begin, end + 4 - begin);
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

// What the system said no to; "" for another reason.
std::string refused(const std::error_code& code) {
  if (code.category() != std::system_category() && code.category() != std::generic_category()) {
    return "";
  }
  switch (code.value()) {
    case EAGAIN:
      return "the system gives this process no further thread; see `ulimit -u` and `ulimit -v`, "
             "or use fewer threads";
    case EMFILE:
    case ENFILE:
      return "the system gives this process no further file or socket; see `ulimit -n`";
    default:
      return "";
  }
}

// The first number in a file; -1 for "max", or when there is no such file.
int64_t number_in(const char* path) {
  int64_t value = -1;
  std::ifstream file(path);
  return file >> value ? value : -1;
}

}  // namespace

ExceptionText explain_exception(const std::exception& error) {
  if (const auto* ours = dynamic_cast<const OutOfMemory*>(&error)) return {true, ours->what()};
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return {true, "out of memory"};
  const std::string text = without_frames(error.what());
  if (text.find("CUDA out of memory") != std::string::npos) return {true, text};
  constexpr const char* kTried = "you tried to allocate ";
  if (const size_t at = text.find(kTried); at != std::string::npos) {
    const double bytes = std::strtod(text.c_str() + at + std::string(kTried).size(), nullptr);
    return {true, fmt::format("out of memory: a tensor needs {:.3g} MB, which the system refuses",
                              bytes / 1e6)};
  }
  if (const auto* system = dynamic_cast<const std::system_error*>(&error)) {
    const std::string reason = refused(system->code());
    if (!reason.empty()) return {false, reason + " (" + text + ")"};
  }
  return {false, text};
}

int64_t available_memory() {
  int64_t available = 0;
  const auto limit_to = [&](int64_t left) {
    left = std::max<int64_t>(1, left);
    available = available > 0 ? std::min(available, left) : left;
  };
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("MemAvailable:", 0) == 0) limit_to(std::atoll(line.c_str() + 13) * 1024);
  }
  const int64_t limit = number_in("/sys/fs/cgroup/memory.max");
  int64_t used = number_in("/sys/fs/cgroup/memory.current");
  // What was read from files counts as used, and is given back when it is wanted.
  std::ifstream statistics("/sys/fs/cgroup/memory.stat");
  for (std::string line; used >= 0 && std::getline(statistics, line);) {
    if (line.rfind("inactive_file ", 0) == 0) used -= std::atoll(line.c_str() + 14);
  }
  if (limit >= 0 && used >= 0) limit_to(limit - used);
  rlimit addresses{};
  const int64_t pages = number_in("/proc/self/statm");
  if (getrlimit(RLIMIT_AS, &addresses) == 0 && addresses.rlim_cur != RLIM_INFINITY && pages >= 0) {
    limit_to(static_cast<int64_t>(addresses.rlim_cur) - pages * sysconf(_SC_PAGESIZE));
  }
  return available;
}

}  // namespace asmlp
