#include "asmlp/torch/distributed/token_store.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp::dist {
namespace {

using Clock = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;

constexpr Millis kTryAgain{200}, kLongestLook{50};
// For one greeting: somebody else's server may say nothing at all.
constexpr Millis kGreetingLimit{std::chrono::seconds(15)};

std::string_view text_of(const std::vector<uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::vector<uint8_t> to_bytes(std::string_view text) { return {text.begin(), text.end()}; }

FieldWriter request_of(StoreOp op) {
  FieldWriter request;
  request.number(static_cast<int64_t>(op));
  return request;
}

[[noreturn]] void fail_broken(const std::string& why) {
  fail(ErrorCode::kIo, "{}: {}", kBrokenStore, why);
}

// Until the socket can be read or written.
void await_socket(int socket, short events, Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::duration_cast<Millis>(deadline - Clock::now()).count();
    pollfd source{socket, events, 0};
    const int ready =
        ::poll(&source, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000'000)));
    if (ready > 0) return;
    if (ready == 0) fail_broken("no answer in time");
    if (errno != EINTR) fail_broken(std::strerror(errno));
  }
}

void send_all(int socket, std::string_view bytes, Clock::time_point deadline) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size >= 0) {
      bytes.remove_prefix(static_cast<size_t>(size));
    } else if (errno == EAGAIN) {
      await_socket(socket, POLLOUT, deadline);
    } else if (errno != EINTR) {
      fail_broken(std::strerror(errno));
    }
  }
}

std::string receive(int socket, size_t wanted, Clock::time_point deadline) {
  std::string bytes(wanted, '\0');
  for (size_t done = 0; done < wanted;) {
    const ssize_t size = ::recv(socket, bytes.data() + done, wanted - done, MSG_DONTWAIT);
    if (size > 0) {
      done += static_cast<size_t>(size);
    } else if (size == 0) {
      fail_broken("it was hung up");
    } else if (errno == EAGAIN) {
      await_socket(socket, POLLIN, deadline);
    } else if (errno != EINTR) {
      fail_broken(std::strerror(errno));
    }
  }
  return bytes;
}

// A connected socket, or -1 with errno.
int connect_to(const std::string& address, int port, Clock::time_point deadline, std::string& why) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int unknown = getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (unknown != 0) why = gai_strerror(unknown);
  int result = -1;
  for (const addrinfo* a = list; unknown == 0 && a && result < 0; a = a->ai_next) {
    const int fd = ::socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) continue;
    int error = ::connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      const Clock::time_point limit = std::min(deadline, Clock::now() + kGreetingLimit);
      socklen_t size = sizeof error;
      try {
        await_socket(fd, POLLOUT, limit);
        ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      } catch (const Error&) {
        error = ETIMEDOUT;
      }
    }
    if (error == 0) {
      result = fd;
    } else {
      why = std::strerror(error);
      ::close(fd);
    }
  }
  if (unknown == 0) freeaddrinfo(list);
  return result;
}

// Both sides show that they know the token.
void introduce(int socket, const std::string& token, const std::string& where,
               Clock::time_point deadline) {
  const std::string greeting = receive(socket, kGreeting.size() + sizeof(Nonce), deadline);
  require(greeting.starts_with(kGreeting), ErrorCode::kMismatch,
          "what listens at {} is not rank 0 of a run of this version of asmlp", where);
  Nonce server;
  std::copy_n(greeting.begin() + kGreeting.size(), server.size(), server.begin());
  const Nonce client = make_nonce();
  const Proof proof = proof_of(token, proof_message("client", server, client));
  std::string hello(client.begin(), client.end());
  hello.append(proof.begin(), proof.end());
  send_all(socket, hello, deadline);
  const bool welcome = receive(socket, 1, deadline)[0] == kWelcome;
  bool known = false;
  if (welcome) {
    const std::string bytes = receive(socket, sizeof(Proof), deadline);
    Proof theirs;
    std::copy(bytes.begin(), bytes.end(), theirs.begin());
    known = same_proof(theirs, proof_of(token, proof_message("server", server, client)));
  }
  require(known, ErrorCode::kMismatch,
          "rank 0 at {} and this process do not have the same {}{}: give all processes of the run "
          "the same one, or another run another MASTER_PORT",
          where, kTokenVariable,
          token.empty() ? " (this one has none), or are not processes of one user" : "");
}

}  // namespace

TokenStore::TokenStore(std::shared_ptr<StoreServer> server, Millis timeout)
    : Store(timeout), server_(std::move(server)) {}

TokenStore::TokenStore(const std::string& address, int port, std::string token, Millis timeout)
    : Store(timeout), address_(address), port_(port), token_(std::move(token)) {
  const Clock::time_point deadline = Clock::now() + timeout;
  const std::string where = fmt::format("{}:{}", address, port);
  std::string why = "no answer";
  while (true) {
    socket_ = connect_to(address, port, deadline, why);
    if (socket_ >= 0) {
      const int on = 1;
      ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      try {
        introduce(socket_, token_, where, std::min(deadline, Clock::now() + kGreetingLimit));
        return;
      } catch (const Error& error) {
        ::close(std::exchange(socket_, -1));
        if (error.code() != ErrorCode::kIo) throw;
        why = error.what();  // a crowd at the door, perhaps
      }
    }
    require(Clock::now() + kTryAgain < deadline, ErrorCode::kIo, "{}", why);
    std::this_thread::sleep_for(kTryAgain);
  }
}

c10::intrusive_ptr<c10d::Store> TokenStore::clone() {
  if (server_) return c10::make_intrusive<TokenStore>(server_, timeout_);
  return c10::make_intrusive<TokenStore>(address_, port_, token_, timeout_);
}

TokenStore::~TokenStore() {
  if (socket_ >= 0) ::close(socket_);
}

std::string TokenStore::ask(const std::string& request) {
  if (server_) return server_->table().answer(request);
  const std::lock_guard guard(mutex_);
  if (socket_ < 0) fail_broken("an earlier request failed");
  const Clock::time_point deadline = Clock::now() + timeout_;
  try {
    send_all(socket_, frame_of(request), deadline);
    const std::string head = receive(socket_, sizeof(uint32_t), deadline);
    uint32_t length;
    std::memcpy(&length, head.data(), sizeof length);
    if (length > kLargestFrame) fail_broken("an answer that makes no sense");
    return receive(socket_, length, deadline);
  } catch (const Error&) {
    // A late answer must not be taken for that to the next request.
    ::close(std::exchange(socket_, -1));
    throw;
  }
}

void TokenStore::set(const std::string& key, const std::vector<uint8_t>& value) {
  ask(request_of(StoreOp::kSet).text(key).text(text_of(value)).take());
}

std::vector<uint8_t> TokenStore::compareSet(const std::string& key,
                                            const std::vector<uint8_t>& expected,
                                            const std::vector<uint8_t>& desired) {
  const std::string answer = ask(request_of(StoreOp::kCompareSet)
                                     .text(key)
                                     .text(text_of(expected))
                                     .text(text_of(desired))
                                     .take());
  return to_bytes(FieldReader(answer).text());
}

std::vector<uint8_t> TokenStore::get(const std::string& key) {
  wait({key}, timeout_);
  const std::string answer = ask(request_of(StoreOp::kGet).text(key).take());
  FieldReader in(answer);
  require(in.number() != 0, ErrorCode::kIo, "the store has lost the key {}", key);
  return to_bytes(in.text());
}

int64_t TokenStore::add(const std::string& key, int64_t value) {
  const std::string answer = ask(request_of(StoreOp::kAdd).text(key).number(value).take());
  return FieldReader(answer).number();
}

bool TokenStore::deleteKey(const std::string& key) {
  const std::string answer = ask(request_of(StoreOp::kDelete).text(key).take());
  return FieldReader(answer).number() != 0;
}

bool TokenStore::check(const std::vector<std::string>& keys) {
  FieldWriter request = request_of(StoreOp::kCheck);
  for (const std::string& key : keys) request.text(key);
  const std::string answer = ask(request.take());
  return FieldReader(answer).number() != 0;
}

int64_t TokenStore::getNumKeys() {
  const std::string answer = ask(request_of(StoreOp::kCount).take());
  return FieldReader(answer).number();
}

void TokenStore::wait(const std::vector<std::string>& keys) { wait(keys, timeout_); }

void TokenStore::wait(const std::vector<std::string>& keys, const Millis& timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  for (Millis pause{1}; !check(keys); pause = std::min(2 * pause, kLongestLook)) {
    require(Clock::now() < deadline, ErrorCode::kIo, "the key {} did not come within {:.3g} s",
            keys.empty() ? "" : keys.front(), std::chrono::duration<double>(timeout).count());
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace asmlp::dist
