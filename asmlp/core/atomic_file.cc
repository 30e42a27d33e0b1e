#include "asmlp/core/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <map>
#include <mutex>
#include <ostream>
#include <streambuf>
#include <string_view>
#include <vector>

#include "asmlp/core/error.h"
#include "asmlp/core/write_all.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = ".tmp.";
constexpr size_t kMaxName = 255;  // of a file, in bytes, on the usual file systems
constexpr int kMaxLinks = 40;     // as the kernel's

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void fail_output(const fs::path& path, const std::string& action, int error) {
  const bool missing = error == ENOENT;
  fail(missing ? ErrorCode::kNotFound : ErrorCode::kIo, "{}: cannot {}: {}", path.string(), action,
       std::strerror(error));
}

// A stream into a descriptor that remembers why it failed.
class DescriptorBuffer : public std::streambuf {
 public:
  explicit DescriptorBuffer(int fd) : fd_(fd), buffer_(size_t{1} << 16) {
    setp(buffer_.data(), buffer_.data() + buffer_.size());
  }
  int error() const { return error_; }  // 0: none

 protected:
  int_type overflow(int_type c) override {
    if (!drain()) return traits_type::eof();
    if (!traits_type::eq_int_type(c, traits_type::eof())) {
      *pptr() = traits_type::to_char_type(c);
      pbump(1);
    }
    return traits_type::not_eof(c);
  }
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    if (size < epptr() - pptr()) return std::streambuf::xsputn(text, size);
    return drain() && put(text, static_cast<size_t>(size)) ? size : 0;
  }
  int sync() override { return drain() ? 0 : -1; }

 private:
  bool drain() {
    const bool done = put(pbase(), static_cast<size_t>(pptr() - pbase()));
    setp(buffer_.data(), buffer_.data() + buffer_.size());
    return done;
  }
  bool put(const char* text, size_t size) {
    if (error_ == 0) error_ = write_all(fd_, {text, size}, OnSignal::kStop);
    return error_ == 0;
  }

  int fd_;
  int error_ = 0;
  std::vector<char> buffer_;
};

// Runs `write` on the descriptor; a failure of the descriptor is told by its own reason, whatever
// `write` made of it.
void fill(int fd, const fs::path& path, const std::function<void(std::ostream&)>& write) {
  DescriptorBuffer buffer(fd);
  std::ostream stream(&buffer);
  const auto check = [&] {
    if (buffer.error() == 0) return;
    require(buffer.error() != EINTR, ErrorCode::kInterrupted,
            "{}: stopped by a signal while it was written", path.string());
    fail_output(path, "write", buffer.error());
  };
  try {
    write(stream);
    stream.flush();
  } catch (...) {
    check();
    throw;
  }
  check();
  require(bool{stream}, ErrorCode::kIo, "{}: cannot write", path.string());
}

// What a path stands for as an output.
struct Target {
  fs::path path;  // links followed
  bool exists = false;
  bool through = false;  // it is written into, not replaced
  int descriptor = -1;   // of this process
  struct stat status {};
};

Target find_target(const fs::path& path) {
  Target target{.path = path};
  for (int links = 0;; ++links) {
    require(links <= kMaxLinks, ErrorCode::kIo, "{}: cannot write: {}", path.string(),
            path_error(path, ELOOP));
    target.descriptor = descriptor_of(target.path);
    if (target.descriptor >= 0) break;
    std::error_code error;
    if (!fs::is_symlink(fs::symlink_status(target.path, error))) break;
    const fs::path next = fs::read_symlink(target.path, error);
    if (error) break;
    // A link of /proc leads to what its text does not name ("pipe:[4711]").
    struct stat there {};
    if (::stat(target.path.c_str(), &there) == 0 && !S_ISREG(there.st_mode) &&
        !S_ISDIR(there.st_mode) && descriptor_of(next) < 0 &&
        !fs::exists(target.path.parent_path() / next, error)) {
      break;
    }
    target.path = target.path.parent_path() / next;
  }
  if (target.descriptor >= 0) {
    if (::fstat(target.descriptor, &target.status) != 0) fail_output(path, "write", errno);
    target.exists = target.through = true;
    return target;
  }
  if (::stat(target.path.c_str(), &target.status) == 0) {
    target.exists = true;
    require(!S_ISDIR(target.status.st_mode), ErrorCode::kIo, "{}: a folder, not a file",
            path.string());
    target.through = !S_ISREG(target.status.st_mode);
  } else if (errno != ENOENT) {
    fail_output(path, "write", errno);
  }
  return target;
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

void check_target(const fs::path& path, const Target& target) {
  if (target.descriptor >= 0) return;
  if (target.exists && ::access(target.path.c_str(), W_OK) != 0) fail_output(path, "write", errno);
  if (target.through) return;
  const fs::path folder = folder_of(target.path);
  struct stat status {};
  const int error = ::stat(folder.c_str(), &status) != 0 ? errno
                    : S_ISDIR(status.st_mode)            ? 0
                                                         : ENOTDIR;
  require(error != ENOENT, ErrorCode::kNotFound, "{}: there is no folder {}", path.string(),
          folder.string());
  if (error != 0) fail_output(path, "write into " + folder.string(), error);
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    fail_output(path, "write into " + folder.string(), errno);
  }
  require(!target.path.filename().empty(), ErrorCode::kIo, "{}: a folder, not a file",
          path.string());
  // The folder says how long names may be.
  if (!target.exists && ::lstat(target.path.c_str(), &status) != 0 && errno != ENOENT) {
    fail_output(path, "write", errno);
  }
}

// A FIFO without a reader is asked again, since a blocking open could not be interrupted.
int open_through(const fs::path& path, const Target& target) {
  if (target.descriptor >= 0) return ::fcntl(target.descriptor, F_DUPFD_CLOEXEC, 3);
  while (true) {
    const int fd = ::open(target.path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0 || errno != ENXIO || !S_ISFIFO(target.status.st_mode)) return fd;
    const timespec pause{0, 50'000'000};
    require(::nanosleep(&pause, nullptr) == 0, ErrorCode::kInterrupted,
            "{}: stopped by a signal while it waited for a reader", path.string());
  }
}

void write_through(const fs::path& path, const Target& target,
                   const std::function<void(std::ostream&)>& write) {
  const FileDescriptor fd(open_through(path, target));
  if (fd.get() < 0) fail_output(path, "write", errno);
  fill(fd.get(), path, write);
}

// The new file has the mode, and where this process may, the owner of the one it replaces.
void keep_owner_and_mode(int fd, const struct stat& old) {
  mode_t mode = old.st_mode & 07777;
  struct stat now {};
  if (::fstat(fd, &now) == 0 && (now.st_uid != old.st_uid || now.st_gid != old.st_gid) &&
      ::fchown(fd, old.st_uid, old.st_gid) != 0 &&
      ::fchown(fd, static_cast<uid_t>(-1), old.st_gid) != 0) {
    mode &= 0777;  // not the rights of another user
  }
  [[maybe_unused]] const int ignored = ::fchmod(fd, mode);
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "host";
  std::string text = name.data();
  for (char& c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '-';
  }
  return text.empty() ? "host" : text.substr(0, 32);
}

// The beginning of the temporary names of `target`; a long name is cut, so that they stay names.
std::string temporary_stem(const fs::path& target) {
  constexpr size_t kRoom = 80;  // for what follows
  return target.filename().string().substr(0, kMaxName - kRoom);
}

// The process that a temporary name of this host says, -1 when it is no such name.
pid_t writer_of(std::string_view name, const std::string& stem) {
  if (!name.starts_with(stem)) return -1;
  name.remove_prefix(stem.size());
  if (!name.starts_with(kMark)) return -1;
  name.remove_prefix(kMark.size());
  // With the host, or from the time when there was none.
  if (const std::string host = host_name() + "."; name.starts_with(host)) {
    name.remove_prefix(host.size());
  }
  pid_t pid = -1;
  const auto read = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (read.ec != std::errc() || pid <= 0) return -1;
  name.remove_prefix(static_cast<size_t>(read.ptr - name.data()));
  const bool rest = name.empty() || (name.size() > 1 && name[0] == '.' &&
                                     name.find_first_not_of("0123456789", 1) == name.npos);
  return rest ? pid : -1;
}

// Whether the process is there, and not only waits for its parent to take note of its end (which
// never comes in containers without an init).
bool is_alive(pid_t pid) {
  if (::kill(pid, 0) != 0) return errno != ESRCH;
  try {
    const std::string status = read_file(fmt::format("/proc/{}/stat", pid), size_t{1} << 16);
    const size_t name_end = status.rfind(") ");
    const char state = name_end + 2 < status.size() ? status[name_end + 2] : '?';
    return state != 'Z' && state != 'X';
  } catch (const Error&) {
    return true;
  }
}

std::vector<std::string> temporary_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (name.find(kMark) != name.npos) names.push_back(std::move(name));
  }
  return names;
}

// Removes those of `names`, which lie beside `target`, that dead writers of it left.
void remove_dead(const fs::path& target, const std::vector<std::string>& names) {
  const std::string stem = temporary_stem(target);
  for (const std::string& name : names) {
    const pid_t writer = writer_of(name, stem);
    if (writer < 0 || is_alive(writer)) continue;
    // Whoever writes holds a lock: processes of another namespace or host, too.
    const fs::path path = folder_of(target) / name;
    const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    const bool ours = fd.get() >= 0 && ::fstat(fd.get(), &status) == 0 &&
                      (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) &&
                      (status.st_uid == ::geteuid() || ::geteuid() == 0);
    std::error_code ignored;
    if (ours && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) fs::remove_all(path, ignored);
  }
}

// remove_leftovers for the many files that a process may write into one folder, which is listed
// once.
void remove_leftovers_once(const fs::path& target) {
  constexpr size_t kMostFolders = 1024;
  static std::mutex mutex;
  static std::map<std::string, std::vector<std::string>> listed;
  const fs::path folder = folder_of(target);
  const std::lock_guard lock(mutex);
  auto found = listed.find(folder.string());
  if (found == listed.end()) {
    if (listed.size() >= kMostFolders) listed.clear();
    found = listed.emplace(folder.string(), temporary_names(folder)).first;
  }
  remove_dead(target, found->second);
}

}  // namespace

std::string temporary_suffix() { return fmt::format("{}{}.{}", kMark, host_name(), ::getpid()); }

void remove_leftovers(const fs::path& target) noexcept {
  try {
    remove_dead(target, temporary_names(folder_of(target)));
  } catch (const std::exception&) {  // then they stay
  }
}

void check_writable(const fs::path& path) { check_target(path, find_target(path)); }

void write_file_atomically(const fs::path& path, const std::function<void(std::ostream&)>& write) {
  static std::atomic<unsigned> counter{0};
  const Target target = find_target(path);
  if (target.through) return write_through(path, target, write);
  check_target(path, target);
  remove_leftovers_once(target.path);
  const fs::path folder = folder_of(target.path);
  const fs::path temporary =
      folder / fmt::format("{}{}.{}", temporary_stem(target.path), temporary_suffix(), counter++);
  const FileDescriptor fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (fd.get() < 0) fail_output(path, "write", errno);
  ::flock(fd.get(), LOCK_EX | LOCK_NB);  // where there are locks, this one says that it is alive
  try {
    if (target.exists) keep_owner_and_mode(fd.get(), target.status);
    fill(fd.get(), path, write);
    if (::fsync(fd.get()) != 0 && errno != EINVAL) fail_output(path, "flush to disk", errno);
    if (::rename(temporary.c_str(), target.path.c_str()) != 0) fail_output(path, "replace", errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  // The file is whole under its name; a folder that may not be read cannot be flushed by itself.
  const FileDescriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0 && ::fsync(directory.get()) != 0 && errno == EIO) {
    fail_output(path, "flush its folder to disk", errno);
  }
}

}  // namespace asmlp
