#include "asmlp/core/input_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/write_all.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxPipedBytes = size_t{4} << 30;

[[noreturn]] void fail_input(const std::string& what, const char* action, const std::string& why,
                             int error) {
  fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, "{}: cannot {}: {}", what, action,
       why);
}

// Pipes that were read, by their paths: descriptors of what came out of them.
std::atomic<bool> keeps_pipes{false};
std::mutex kept_mutex;
std::map<std::string, int>& kept_pipes() {
  static std::map<std::string, int> pipes;
  return pipes;
}

int open_kept(const fs::path& path) {
  const std::lock_guard lock(kept_mutex);
  const auto found = kept_pipes().find(path.string());
  if (found == kept_pipes().end()) return -1;
  return ::open(fmt::format("/proc/self/fd/{}", found->second).c_str(), O_RDONLY | O_CLOEXEC);
}

// A file in memory that holds `content`, read from its beginning; -1 where that cannot be made.
int memory_file(const std::string& content) {
  const int memory = ::memfd_create("asmlp-input", MFD_CLOEXEC);
  if (memory >= 0 && write_all(memory, content, OnSignal::kGoOn) != 0) {
    ::close(memory);
    return -1;
  }
  if (memory >= 0) ::lseek(memory, 0, SEEK_SET);
  return memory;
}

void keep_pipe(const fs::path& path, const std::string& content) {
  const std::lock_guard lock(kept_mutex);
  if (kept_pipes().contains(path.string())) return;
  const int memory = memory_file(content);
  if (memory < 0) return;  // then a second reading finds an empty pipe, and says so
  if (const int descriptor = descriptor_of(path); descriptor >= 0) {
    ::dup2(memory, descriptor);
    ::close(memory);
  } else {
    kept_pipes()[path.string()] = memory;
  }
}

// Appends what comes until the end; the descriptor may or may not block.
std::string read_until_end(int fd, const std::string& what, size_t max_bytes) {
  std::string content;
  while (true) {
    // Without a writer yet, a FIFO has neither data nor an end: poll waits for it.
    pollfd ready{fd, POLLIN, 0};
    const int polled = ::poll(&ready, 1, -1);
    require(polled >= 0 || errno != EINTR, ErrorCode::kInterrupted,
            "{}: stopped by a signal while it was read", what);
    if (polled < 0) fail_input(what, "read", std::strerror(errno), errno);
    const size_t old = content.size();
    content.resize(old + std::max<size_t>(old, size_t{1} << 16));
    const ssize_t got = ::read(fd, content.data() + old, content.size() - old);
    const int error = errno;
    content.resize(old + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return content;
    if (got < 0 && (error == EAGAIN || error == EINTR)) continue;
    if (got < 0) fail_input(what, "read", std::strerror(error), error);
    require(content.size() <= max_bytes, ErrorCode::kTooLarge,
            "{}: more than {} bytes come out of it", what, max_bytes);
  }
}

std::string kind_of(const struct stat& status) {
  if (S_ISFIFO(status.st_mode)) return "a named pipe (FIFO)";
  if (S_ISSOCK(status.st_mode)) return "a socket";
  if (S_ISBLK(status.st_mode)) return "a block device";
  if (S_ISCHR(status.st_mode)) return "a device";
  return "of a kind that is not known here";
}

bool is_null_device(const struct stat& status) {
  return S_ISCHR(status.st_mode) && status.st_rdev == ::makedev(1, 3);
}

}  // namespace

int descriptor_of(const fs::path& path) {
  const std::string name = path.lexically_normal().string();
  if (name == "/dev/stdin") return STDIN_FILENO;
  if (name == "/dev/stdout") return STDOUT_FILENO;
  if (name == "/dev/stderr") return STDERR_FILENO;
  for (const std::string& folder : {std::string("/dev/fd/"), std::string("/proc/self/fd/"),
                                    fmt::format("/proc/{}/fd/", ::getpid())}) {
    if (!name.starts_with(folder)) continue;
    int number = -1;
    const char* begin = name.data() + folder.size();
    const char* end = name.data() + name.size();
    const auto read = std::from_chars(begin, end, number);
    return read.ec == std::errc() && read.ptr == end && number >= 0 ? number : -1;
  }
  return -1;
}

std::string path_error(const fs::path& path, int error) {
  std::error_code none;
  if (error == ENOENT && fs::is_symlink(fs::symlink_status(path, none))) {
    return fmt::format("a link to {}, which is missing", fs::read_symlink(path, none).string());
  }
  if (error == ELOOP) return "a link that leads back to itself (a loop of links)";
  return std::strerror(error);
}

std::string special_kind(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    const int error = errno;
    if (error == ELOOP) return "loop of links";
    std::error_code none;
    const bool link = fs::is_symlink(fs::symlink_status(path, none));
    return error == ENOENT && link ? "link to a missing file" : "";
  }
  if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) return "";
  return S_ISFIFO(status.st_mode) ? "named pipe" : S_ISSOCK(status.st_mode) ? "socket" : "device";
}

InputFile::InputFile(const fs::path& path, Inputs inputs) : what_(path.string()) {
  fd_ = open_kept(path);
  // Non-blocking: neither a FIFO without a writer nor a device makes the opening wait.
  if (fd_ < 0) fd_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  int error = errno;
  // Sockets, and the files of another user, cannot be opened anew by their descriptor's name.
  if (const int own = descriptor_of(path); fd_ < 0 && own >= 0) {
    fd_ = ::fcntl(own, F_DUPFD_CLOEXEC, 3);
  }
  struct stat status {};
  if (fd_ < 0) {
    if (error == ENXIO && ::stat(path.c_str(), &status) == 0) {
      fail(ErrorCode::kIo, "{}: is {}, not a regular file", what_, kind_of(status));
    }
    fail_input(what_, "open", path_error(path, error), error);
  }
  try {
    if (::fstat(fd_, &status) != 0) {
      error = errno;
      fail_input(what_, "look at", std::strerror(error), error);
    }
    regular_ = S_ISREG(status.st_mode);
    size_ = regular_ ? static_cast<size_t>(status.st_size) : 0;
    require(!S_ISDIR(status.st_mode), ErrorCode::kIo, "{}: is not a regular file but a folder",
            what_);
    if (regular_) return;
    require(::isatty(fd_) == 0, ErrorCode::kIo,
            "{}: is a terminal, not a file; give a file or pipe one in", what_);
    const bool flows = S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode);
    require(inputs == Inputs::kAny && (flows || is_null_device(status)), ErrorCode::kIo,
            "{}: is {}, not a regular file", what_, kind_of(status));
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

InputFile::~InputFile() { ::close(fd_); }

std::string InputFile::read_all(size_t max_bytes) const {
  require(size_ <= max_bytes, ErrorCode::kTooLarge, "{}: {} bytes, at most {} are accepted", what_,
          size_, max_bytes);
  // Those of /proc say 0.
  if (!regular_ || size_ == 0) {
    std::string content = read_until_end(fd_, what_, max_bytes);
    if (!regular_ && keeps_pipes) keep_pipe(what_, content);
    return content;
  }
  std::string content(size_, '\0');
  size_t done = 0;
  while (done < size_) {
    const ssize_t got = ::pread(fd_, content.data() + done, size_ - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_input(what_, "read", std::strerror(errno), errno);
    require(got > 0, ErrorCode::kIo, "{}: shrank while it was read", what_);
    done += static_cast<size_t>(got);
  }
  return content;
}

std::string read_file(const fs::path& path, size_t max_bytes, Inputs inputs) {
  return InputFile(path, inputs).read_all(max_bytes);
}

std::string read_standard_input(size_t max_bytes) {
  require(::isatty(STDIN_FILENO) == 0, ErrorCode::kIo,
          "standard input is a terminal; pipe a file into it");
  return read_until_end(STDIN_FILENO, "standard input", max_bytes);
}

MappedFile map_file(const fs::path& path, Inputs inputs) {
  const InputFile file(path, inputs);
  if (!file.is_regular()) {
    const auto content = std::make_shared<const std::string>(file.read_all(kMaxPipedBytes));
    return {std::as_bytes(std::span(*content)), content, false};
  }
  const size_t size = file.size();
  if (size == 0) return {};
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (address == MAP_FAILED)
    fail_input(path.string(), "map into memory", std::strerror(errno), errno);
  MappedFile mapped;
  mapped.owner = std::shared_ptr<const void>(
      address, [size](const void* p) { ::munmap(const_cast<void*>(p), size); });
  mapped.mapped = true;
  mapped.bytes = {static_cast<const std::byte*>(address), size};
  return mapped;
}

void keep_piped_inputs() { keeps_pipes = true; }

std::string piped_beginning(const fs::path& path, size_t bytes) {
  if (!keeps_pipes || (descriptor_of(path) < 0 && special_kind(path) != "named pipe")) return {};
  const MappedFile file = map_file(path);
  const auto first = file.bytes.first(std::min(bytes, file.bytes.size()));
  return {reinterpret_cast<const char*>(first.data()), first.size()};
}

}  // namespace asmlp
