#include "asmlp/server/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace asmlp::server {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSlice{100};     // between looks at whether to go on waiting
constexpr milliseconds kLinger{2'000};  // for a client to take the answer
constexpr size_t kOutputBlock = size_t{256} << 10;

std::string address_of(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  const void* bytes =
      address.ss_family == AF_INET6
          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr)
          : &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  ::inet_ntop(address.ss_family, bytes, text, sizeof text);
  return text;
}

}  // namespace

Connection::Connection(int socket) : socket_(socket) {
  // Answers are small and complete: they must not wait for the acknowledgment of the last one.
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &length) == 0) {
    remote_ = address_of(address);
  }
}

Connection::~Connection() { ::close(socket_); }

bool Connection::wait(short events, Clock::time_point deadline) const {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    pollfd entry{socket_, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30)));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

ssize_t Connection::receive(char* bytes, size_t size, Clock::time_point deadline) {
  for (;;) {
    const ssize_t count = ::recv(socket_, bytes, size, 0);
    if (count >= 0) return count;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return -1;
    if (!wait(POLLIN, deadline)) {
      timed_out_ = true;
      return -1;
    }
  }
}

Connection::Arrival Connection::read_head(milliseconds idle, milliseconds timeout, size_t max_bytes,
                                          const std::function<bool()>& keep_waiting) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  timed_out_ = false;
  head_.clear();
  const Clock::time_point idle_end = Clock::now() + idle;
  Clock::time_point deadline = Clock::now() + timeout;
  size_t looked = 0;
  for (;;) {
    // Line breaks between requests are passed over, as RFC 9112 asks.
    while (looked == 0 && input_.starts_with("\r\n")) input_.erase(0, 2);
    const size_t end = input_.find(kEnd, looked);
    if (end != std::string::npos) {
      head_ = input_.substr(0, end + kEnd.size());
      input_.erase(0, head_.size());
      return head_.size() > max_bytes ? Arrival::kTooLarge : Arrival::kHead;
    }
    if (input_.size() > max_bytes) {
      head_ = input_.substr(0, max_bytes);
      return Arrival::kTooLarge;
    }
    looked = input_.size() < kEnd.size() ? 0 : input_.size() - (kEnd.size() - 1);
    const bool empty = input_.empty();
    while (empty && !wait(POLLIN, std::min(idle_end, Clock::now() + kSlice))) {
      if (Clock::now() >= idle_end || !keep_waiting()) return Arrival::kClosed;
    }
    if (empty) deadline = Clock::now() + timeout;
    char block[4096];
    const ssize_t count = receive(block, sizeof block, deadline);
    if (count <= 0) {
      head_ = input_;
      return timed_out_ && !input_.empty() ? Arrival::kTimeout : Arrival::kClosed;
    }
    input_.append(block, static_cast<size_t>(count));
  }
}

void Connection::begin(std::string plain, const Head& head, uint64_t max_body,
                       Clock::time_point deadline) {
  plain_ = std::move(plain);
  plain_read_ = 0;
  chunked_ = head.chunked;
  tail_.clear();
  // The lines between chunks of a few bytes are longer than the chunks.
  body_left_ = head.chunked ? 2 * max_body + (1 << 16) : head.length.value_or(0);
  read_deadline_ = deadline;
}

ssize_t Connection::read(char* bytes, size_t size) {
  if (plain_read_ < plain_.size()) {
    const size_t count = std::min(size, plain_.size() - plain_read_);
    std::memcpy(bytes, plain_.data() + plain_read_, count);
    plain_read_ += count;
    return static_cast<ssize_t>(count);
  }
  size = static_cast<size_t>(std::min<uint64_t>(size, body_left_));
  if (size == 0) return 0;
  ssize_t count = 0;
  if (!input_.empty()) {
    count = static_cast<ssize_t>(std::min(size, input_.size()));
    std::memcpy(bytes, input_.data(), static_cast<size_t>(count));
    input_.erase(0, static_cast<size_t>(count));
  } else {
    if (!flush()) return -1;  // "100 Continue", for which the client waits
    count = receive(bytes, size, read_deadline_);
  }
  if (count <= 0) return count;
  body_left_ -= static_cast<uint64_t>(count);
  if (chunked_) {
    tail_.append(bytes, static_cast<size_t>(count));
    if (tail_.size() > 4) tail_.erase(0, tail_.size() - 4);
  }
  return count;
}

ssize_t Connection::write(const char* bytes, size_t size) {
  output_.append(bytes, size);
  if (output_.size() >= kOutputBlock && !flush()) return -1;
  return broken_ ? -1 : static_cast<ssize_t>(size);
}

bool Connection::flush() {
  const Clock::time_point deadline = Clock::now() + write_timeout_;
  for (size_t sent = 0; sent < output_.size() && !broken_;) {
    const ssize_t count =
        ::send(socket_, output_.data() + sent, output_.size() - sent, MSG_NOSIGNAL);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      broken_ = !wait(POLLOUT, deadline);
    } else if (errno != EINTR) {
      broken_ = true;
    }
  }
  output_.clear();
  return !broken_;
}

void Connection::linger() {
  ::shutdown(socket_, SHUT_WR);
  const Clock::time_point end = Clock::now() + kLinger;
  char block[1 << 14];
  while (!broken_ && Clock::now() < end && receive(block, sizeof block, end) > 0) {
  }
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip = remote_;
  port = 0;
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace asmlp::server
