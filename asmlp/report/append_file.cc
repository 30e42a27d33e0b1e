#include "asmlp/report/append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp {

AppendFile::AppendFile(std::filesystem::path path, Open open)
    : path_(std::move(path)),
      fd_(::open(path_.c_str(),
                 O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | (open == Open::kCreate ? O_EXCL : 0),
                 0666)) {
  require(fd_ >= 0, ErrorCode::kIo, "{}: cannot open for writing: {}", path_.string(),
          std::strerror(errno));
}

AppendFile::~AppendFile() { ::close(fd_); }

void AppendFile::flush() {
  if (pending_.empty()) return;
  const off_t size = ::lseek(fd_, 0, SEEK_END);
  size_t done = 0;
  while (done < pending_.size()) {
    const ssize_t wrote = ::write(fd_, pending_.data() + done, pending_.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      const int error = errno;
      const bool whole = done == 0 || (size >= 0 && ::ftruncate(fd_, size) == 0);
      // What is there already must not be written twice.
      if (!whole) pending_.erase(0, done);
      fail(ErrorCode::kIo, "{}: cannot write (is the disk full?): {}", path_.string(),
           std::strerror(error));
    }
    done += static_cast<size_t>(wrote);
  }
  pending_.clear();
}

}  // namespace asmlp
