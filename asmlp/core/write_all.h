// Writing all bytes to a descriptor, whatever it is.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace asmlp {

// What a signal with a handler does to the waiting for a pipe that does not block.
enum class OnSignal { kGoOn, kStop };

// Returns 0, or the number of the error that ended it: EINTR by kStop.
inline int write_all(int fd, std::string_view bytes, OnSignal on_signal) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count > 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
    } else if (count == 0) {
      return EIO;
    } else if (errno == EAGAIN) {
      pollfd room{fd, POLLOUT, 0};
      if (::poll(&room, 1, -1) < 0 && on_signal == OnSignal::kStop) return errno;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace asmlp
