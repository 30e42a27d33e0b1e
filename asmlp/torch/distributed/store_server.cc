#include "asmlp/torch/distributed/store_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <list>
#include <sstream>
#include <thread>
#include <utility>

#include "asmlp/core/error.h"

namespace asmlp::dist {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kHelloSize = sizeof(Nonce) + sizeof(Proof);
constexpr size_t kReadAtOnce = 65536;

struct StoreConnection {
  int socket = -1;
  bool proven = false;
  Clock::time_point since;
  Nonce nonce;
  std::string in, out;
};

// Listens at one address; -1 with errno where that does not work.
int listen_at(const sockaddr* address, socklen_t length) {
  const int fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, address, length) == 0 && ::listen(fd, 1024) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

int listen_on_machine(int port) {
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_port = htons(static_cast<uint16_t>(port));
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return listen_at(reinterpret_cast<const sockaddr*>(&own), sizeof own);
}

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
  return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

// At the address that the others know, where it is this machine's; else (it is translated on the
// way, or the name means the loopback here, as Debian's /etc/hosts has it) at all.
int listen_on_network(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const std::string service = std::to_string(port);
  int fd = -1;
  if (getaddrinfo(host.c_str(), service.c_str(), &hints, &list) == 0) {
    for (const addrinfo* a = list; a && fd < 0; a = a->ai_next) {
      if (!is_loopback(a->ai_addr)) fd = listen_at(a->ai_addr, a->ai_addrlen);
      if (fd < 0 && errno == EADDRINUSE) break;
    }
    const int error = errno;
    freeaddrinfo(list);
    errno = error;
  }
  if (fd >= 0 || errno == EADDRINUSE) return fd;
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(static_cast<uint16_t>(port));
  fd = listen_at(reinterpret_cast<const sockaddr*>(&any), sizeof any);
  if (fd >= 0 || errno == EADDRINUSE) return fd;
  sockaddr_in any4{};
  any4.sin_family = AF_INET;
  any4.sin_port = any.sin6_port;
  return listen_at(reinterpret_cast<const sockaddr*>(&any4), sizeof any4);
}

}  // namespace

int64_t user_of_peer(int socket) {
  sockaddr_in own{}, peer{};
  socklen_t own_size = sizeof own, peer_size = sizeof peer;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &own_size) != 0 ||
      ::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0 ||
      own.sin_family != AF_INET) {
    return -1;
  }
  // "sl local_address rem_address st tx:rx tr:when retrnsmt uid ...", addresses as the kernel holds
  // them.
  const auto text = [](const sockaddr_in& a) {
    return fmt::format("{:08X}:{:04X}", a.sin_addr.s_addr, ntohs(a.sin_port));
  };
  const std::string local = text(peer), remote = text(own);
  std::ifstream table("/proc/net/tcp");
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string slot, here, there, state, queues, timer, again;
    int64_t user = -1;
    if (words >> slot >> here >> there >> state >> queues >> timer >> again >> user &&
        here == local && there == remote) {
      return user;
    }
  }
  return -1;
}

struct StoreServer::Impl {
  ServerOptions options;
  StoreTable table;
  int listener = -1, wake = -1;
  std::list<StoreConnection> connections;
  std::thread thread;

  ~Impl() {
    if (thread.joinable()) {
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t wrote = ::write(wake, &one, sizeof one);
      thread.join();
    }
    for (const StoreConnection& c : connections) ::close(c.socket);
    if (listener >= 0) ::close(listener);
    if (wake >= 0) ::close(wake);
  }

  void drop(std::list<StoreConnection>::iterator it) {
    ::close(it->socket);
    connections.erase(it);
  }

  size_t unproven() const {
    return static_cast<size_t>(
        std::ranges::count_if(connections, [](const StoreConnection& c) { return !c.proven; }));
  }
  // They stand in the order in which they came.
  bool drop_oldest_unproven() {
    const auto it = std::ranges::find_if(connections, [](const auto& c) { return !c.proven; });
    if (it == connections.end()) return false;
    drop(it);
    return true;
  }

  // False when there was none to accept.
  bool accept_one() {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      const bool full = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
      if (full && !drop_oldest_unproven())
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      return errno == EINTR || errno == ECONNABORTED;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (unproven() >= options.most_unproven) drop_oldest_unproven();
    StoreConnection c;
    c.socket = fd;
    c.since = Clock::now();
    c.nonce = make_nonce();
    c.out.assign(kGreeting);
    c.out.append(c.nonce.begin(), c.nonce.end());
    connections.push_back(std::move(c));
    return true;
  }

  // False when the connection is to be closed.
  bool prove(StoreConnection& c) {
    if (c.in.size() < kHelloSize) return true;
    Nonce client;
    Proof proof;
    std::copy_n(c.in.begin(), client.size(), client.begin());
    std::copy_n(c.in.begin() + client.size(), proof.size(), proof.begin());
    c.in.erase(0, kHelloSize);
    const bool known =
        same_proof(proof, proof_of(options.token, proof_message("client", c.nonce, client)));
    const bool mine = !options.token.empty() || user_of_peer(c.socket) == int64_t{::geteuid()};
    if (!known || !mine) {
      ::send(c.socket, &kRefused, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
      return false;
    }
    c.proven = true;
    c.out += kWelcome;
    const Proof own = proof_of(options.token, proof_message("server", c.nonce, client));
    c.out.append(own.begin(), own.end());
    return true;
  }

  bool read_from(StoreConnection& c) {
    char buffer[kReadAtOnce];
    const size_t wanted = c.proven ? sizeof buffer : kHelloSize - c.in.size();
    const ssize_t size = ::recv(c.socket, buffer, wanted, 0);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) return false;
    c.in.append(buffer, static_cast<size_t>(size));
    if (!c.proven) return prove(c);
    while (c.in.size() >= sizeof(uint32_t)) {
      uint32_t length;
      std::memcpy(&length, c.in.data(), sizeof length);
      if (length > kLargestFrame) return false;
      if (c.in.size() < sizeof length + length) break;
      c.out += frame_of(table.answer(std::string_view(c.in).substr(sizeof length, length)));
      c.in.erase(0, sizeof length + length);
    }
    return true;
  }

  bool write_to(StoreConnection& c) {
    const ssize_t size = ::send(c.socket, c.out.data(), c.out.size(), MSG_NOSIGNAL);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    c.out.erase(0, static_cast<size_t>(size));
    return true;
  }

  bool serve(StoreConnection& c, short events) {
    try {
      if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && !read_from(c)) return false;
      return c.out.empty() || write_to(c);
    } catch (const std::exception&) {
      return false;  // what it sent makes no sense
    }
  }

  void run() {
    while (true) {
      std::vector<pollfd> sources{{wake, POLLIN, 0}, {listener, POLLIN, 0}};
      for (const StoreConnection& c : connections) {
        sources.push_back(
            {c.socket, static_cast<short>(POLLIN | (c.out.empty() ? 0 : POLLOUT)), 0});
      }
      ::poll(sources.data(), sources.size(), unproven() > 0 ? 500 : -1);
      if (sources[0].revents != 0) return;
      auto it = connections.begin();
      for (size_t i = 2; i < sources.size(); ++i) {
        const auto current = it++;
        const bool late = !current->proven && Clock::now() - current->since > options.proof_limit;
        if (late || (sources[i].revents != 0 && !serve(*current, sources[i].revents))) {
          drop(current);
        }
      }
      if (sources[1].revents != 0) {
        for (int k = 0; k < 64 && accept_one(); ++k) {
        }
      }
    }
  }
};

StoreServer::StoreServer(const ServerOptions& options) : impl_(std::make_unique<Impl>()) {
  impl_->options = options;
  const bool network = options.reach == Reach::kNetwork;
  require(!network || !options.token.empty(), ErrorCode::kInvalidArgument,
          "a run on several machines needs a token");
  impl_->listener =
      network ? listen_on_network(options.address, options.port) : listen_on_machine(options.port);
  require(impl_->listener >= 0, ErrorCode::kIo,
          "rank 0 cannot listen on port {} of this machine: it is in use, by another run perhaps; "
          "choose another one with the environment variable MASTER_PORT ({})",
          options.port, std::strerror(errno));
  impl_->wake = ::eventfd(0, EFD_CLOEXEC);
  require(impl_->wake >= 0, ErrorCode::kIo, "cannot make an event: {}", std::strerror(errno));
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

StoreServer::~StoreServer() = default;

StoreTable& StoreServer::table() { return impl_->table; }

}  // namespace asmlp::dist
