#include "asmlp/core/atomic_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

namespace fs = std::filesystem;

class FileDescriptor {
 public:
  FileDescriptor(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC)) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void fail_with_errno(const fs::path& path, const char* action) {
  const int error = errno;
  fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, "{}: cannot {}: {}", path.string(),
       action, std::strerror(error));
}

void sync_to_disk(const fs::path& path, int flags) {
  const FileDescriptor fd(path, flags);
  if (fd.get() < 0 || ::fsync(fd.get()) != 0) fail_with_errno(path, "flush to disk");
}

// Opens a regular file and returns its size.
size_t regular_file_size(const FileDescriptor& fd, const fs::path& path) {
  struct stat status {};
  if (fd.get() < 0) fail_with_errno(path, "open");
  if (::fstat(fd.get(), &status) != 0) fail_with_errno(path, "stat");
  require(S_ISREG(status.st_mode), ErrorCode::kIo, "{}: is not a regular file", path.string());
  return static_cast<size_t>(status.st_size);
}

}  // namespace

void write_file_atomically(const fs::path& path, const std::function<void(std::ostream&)>& write) {
  static std::atomic<unsigned> counter{0};
  fs::path temporary = path;
  temporary += fmt::format(".tmp.{}.{}", ::getpid(), counter++);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  try {
    {
      std::ofstream stream(temporary, std::ios::binary | std::ios::trunc);
      if (!stream) fail_with_errno(path, "create");
      write(stream);
      stream.flush();
      if (!stream) fail_with_errno(path, "write (is the disk full?)");
    }
    sync_to_disk(temporary, O_RDONLY);
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail_with_errno(path, "replace");
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
  sync_to_disk(folder, O_RDONLY | O_DIRECTORY);
}

std::string read_file(const fs::path& path, size_t max_bytes) {
  const FileDescriptor fd(path, O_RDONLY);
  const size_t size = regular_file_size(fd, path);
  require(size <= max_bytes, ErrorCode::kTooLarge, "{}: {} bytes, at most {} are accepted",
          path.string(), size, max_bytes);
  std::string content(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(fd.get(), content.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_with_errno(path, "read");
    require(got > 0, ErrorCode::kIo, "{}: shrank while it was read", path.string());
    done += static_cast<size_t>(got);
  }
  return content;
}

MappedFile map_file(const fs::path& path) {
  const FileDescriptor fd(path, O_RDONLY);
  const size_t size = regular_file_size(fd, path);
  if (size == 0) return {};
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (address == MAP_FAILED) fail_with_errno(path, "map into memory");
  MappedFile mapped;
  mapped.owner = std::shared_ptr<const void>(
      address, [size](const void* p) { ::munmap(const_cast<void*>(p), size); });
  mapped.bytes = {static_cast<const std::byte*>(address), size};
  return mapped;
}

}  // namespace asmlp
