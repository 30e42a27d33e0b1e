#include "asmlp/server/http_server.h"

#include <fmt/format.h>
#include <httplib.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "asmlp/core/error.h"
#include "asmlp/core/lower_case.h"
#include "asmlp/server/connection.h"
#include "asmlp/server/errors.h"
#include "asmlp/server/protocol/head.h"

namespace asmlp::server {
namespace {

constexpr int kPollMs = 50;        // how soon a stop is noticed
constexpr int kBodies = 8;         // of the largest size are held at a time
constexpr int kDrainTimeouts = 2;  // a request is read and computed within so many

// A listening socket on the first of the host's addresses that can be had.
int listen_on(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  require(failed == 0, ErrorCode::kIo, "--host {}: {}", host, ::gai_strerror(failed));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  int error = 0;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const int socket =
        ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
    if (socket < 0) {
      error = errno;
      continue;
    }
    // A port whose last connections have just ended can be had again; one that is listened to
    // cannot (httplib's own SO_REUSEPORT would share it silently).
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(socket, at->ai_addr, at->ai_addrlen) == 0 && ::listen(socket, 1024) == 0) {
      return socket;
    }
    error = errno;
    ::close(socket);
  }
  fail(ErrorCode::kIo, "cannot listen on {}:{}: {}; choose another --port or --host", host, port,
       std::strerror(error));
}

int port_of(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

bool wants_close(const Head& head) {
  const std::string connection = lower_case(head.header("connection"));
  return connection.find("close") != std::string::npos ||
         (head.header(":version") == "1.0" && connection.find("keep-alive") == std::string::npos);
}

const char* reason_of(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 431:
      return "Request Header Fields Too Large";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Service Unavailable";
  }
}

// An answer that httplib has no part in: before it could read the request.
std::string plain_answer(const HttpReply& reply) {
  std::string text = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n",
      reply.status, reason_of(reply.status), reply.type, reply.body.size());
  for (const auto& [name, value] : reply.headers) text += fmt::format("{}: {}\r\n", name, value);
  return text + "\r\n" + reply.body;
}

}  // namespace

// What is going on in a connection's thread.
struct HttpServer::Exchange {
  Connection& connection;
  Head head;
  bool close = false;
  Clock::time_point start = Clock::now();
  int status = 0;
  size_t bytes_in = 0, bytes_out = 0;
  RequestFacts facts;
};

// httplib without its sockets: request lines, chunks, queries, status lines.
class HttpServer::Protocol : public httplib::Server {
 public:
  explicit Protocol(HttpServer& server) : server_(server) {
    keep_alive_timeout_sec_ =
        std::chrono::ceil<std::chrono::seconds>(server.options_.keep_alive).count();
    set_payload_max_length(server.options_.max_body);
    // One pattern for all paths, which are at most HeadLimits::max_target long: the library matches
    // them with std::regex, which recurs for each character.
    Get(".*", [this](const httplib::Request& request, httplib::Response& response) {
      send(answer(request, nullptr), response);
    });
    Post(".*", [this](const httplib::Request& request, httplib::Response& response,
                      const httplib::ContentReader& reader) {
      send(answer(request, &reader), response);
    });
    set_expect_100_continue_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
          const auto refusal = server_.service_.refuse(translate(request));
          if (!refusal) return 100;
          send(*refusal, response);
          return refusal->status;
        });
    set_exception_handler([this](const httplib::Request& request, httplib::Response& response,
                                 const std::exception_ptr& error) {
      try {
        std::rethrow_exception(error);
      } catch (const std::exception& known) {
        send(error_reply(request.path, known), response);
      }
    });
    set_post_routing_handler([](const httplib::Request&, httplib::Response& response) {
      if (!current_->connection.body_is_read()) current_->close = true;
      response.headers.erase("Accept-Ranges");
      response.headers.erase("Keep-Alive");
      response.headers.erase("Connection");
      if (current_->close) response.set_header("Connection", "close");
      response.set_header("X-Content-Type-Options", "nosniff");
      current_->status = response.status;
      current_->bytes_out = response.body.size();
    });
  }

  bool process(Exchange& exchange) {
    current_ = &exchange;
    bool closed = false;
    return process_request(exchange.connection, exchange.close, closed, nullptr);
  }

 private:
  static HttpRequest translate(const httplib::Request& request) {
    HttpRequest result;
    result.method = request.method == "HEAD" ? "GET" : request.method;
    result.path = request.path;
    result.query.insert(request.params.begin(), request.params.end());
    result.headers = current_->head.headers;
    return result;
  }

  HttpReply answer(const httplib::Request& request, const httplib::ContentReader* reader) {
    HttpRequest message = translate(request);
    if (std::optional<HttpReply> refusal = server_.service_.refuse(message)) return *refusal;
    auto body = std::make_shared<std::string>();
    const uint64_t size =
        reader == nullptr ? 0 : current_->head.length.value_or(server_.options_.max_body);
    const std::optional<Budget::Share> share = server_.bodies_.take(size);
    if (!share) {
      HttpReply reply = error_reply(message.path, 503, "busy",
                                    "too many large requests are being read; try again later");
      reply.headers.emplace_back("Retry-After", "1");
      return reply;
    }
    if (reader != nullptr) {
      if (std::optional<HttpReply> failure = read(message.path, *reader, *body)) return *failure;
    }
    current_->bytes_in = body->size();
    message.body = std::move(body);
    return server_.service_.answer(message);
  }

  // Nothing when all of the body has been read.
  std::optional<HttpReply> read(const std::string& path, const httplib::ContentReader& reader,
                                std::string& body) const {
    const uint64_t most = server_.options_.max_body;
    bool too_large = false;
    const bool complete = reader([&](const char* bytes, size_t size) {
      too_large = size > most - body.size();
      if (!too_large) body.append(bytes, size);
      return !too_large;
    });
    if (complete && current_->connection.body_is_read()) return std::nullopt;
    if (too_large || current_->connection.too_many_chunks()) {
      return error_reply(path, 413, "too_large",
                         fmt::format("the body has more than {} bytes (--max-body)", most));
    }
    if (current_->connection.timed_out()) {
      return error_reply(path, 408, "timeout", "the body did not come in time (--timeout)");
    }
    return error_reply(path, 400, "bad_format", "the body is cut off, or its chunks are malformed");
  }

  static void send(const HttpReply& reply, httplib::Response& response) {
    response.status = reply.status;
    for (const auto& [name, value] : reply.headers) response.set_header(name, value);
    response.set_content(reply.body, reply.type);
    current_->facts = reply.facts;
  }

  HttpServer& server_;
  static thread_local Exchange* current_;
};

thread_local HttpServer::Exchange* HttpServer::Protocol::current_ = nullptr;

HttpServer::HttpServer(Service& service, Metrics& metrics, const HttpOptions& options, Log log)
    : service_(service),
      metrics_(metrics),
      options_(options),
      log_(std::move(log)),
      listener_(listen_on(options.host, options.port)),
      port_(port_of(listener_)),
      bodies_(kBodies * options.max_body),
      protocol_(std::make_unique<Protocol>(*this)) {}

HttpServer::~HttpServer() {
  closing_ = true;
  arrived_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  ::close(listener_);
}

void HttpServer::run(const std::atomic<bool>& stop) {
  Clock::time_point last = Clock::time_point::max();
  while (Clock::now() < last) {
    if (stop && !service_.draining()) {
      service_.drain();
      last = Clock::now() + kDrainTimeouts * options_.timeout;
    }
    if (service_.draining() && active_ == 0) break;
    pollfd entry{listener_, POLLIN, 0};
    if (::poll(&entry, 1, kPollMs) > 0) accept_one();
  }
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  arrived_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void HttpServer::accept_one() {
  const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (socket < 0) {
    // Of the client (gone again), or of the system (no descriptors, no memory): later, perhaps.
    if (errno != EINTR && errno != EAGAIN && errno != ECONNABORTED) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    const bool free = idle_ > static_cast<int>(sockets_.size());
    bool taken = free;
    if (!free && static_cast<int>(threads_.size()) < options_.max_connections) {
      try {
        threads_.emplace_back([this] { work(); });
        taken = true;
      } catch (const std::system_error&) {
        // The system refuses more threads: as if there were as many as are allowed.
      }
    }
    if (taken) {
      sockets_.push_back(socket);
      arrived_.notify_one();
      return;
    }
  }
  refuse(socket);
}

void HttpServer::refuse(int socket) {
  HttpReply reply = error_reply("", 503, "busy", "too many connections; try again later");
  reply.headers.emplace_back("Retry-After", "1");
  const std::string text = plain_answer(reply);
  Connection connection(socket);
  // Without waiting: this thread accepts connections.
  if (::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
    ::shutdown(socket, SHUT_WR);
    char block[4096];
    while (::recv(socket, block, sizeof block, MSG_DONTWAIT) > 0) {
    }
  }
  Exchange refused{.connection = connection, .head = {}, .status = 503, .facts = {}};
  finish(refused);
}

bool HttpServer::crowded() const {
  const std::lock_guard lock(mutex_);
  const int busy = static_cast<int>(threads_.size()) - idle_;
  return 4 * busy > 3 * options_.max_connections;
}

void HttpServer::work() {
  for (;;) {
    int socket = -1;
    {
      std::unique_lock lock(mutex_);
      ++idle_;
      arrived_.wait(lock, [&] { return closing_ || !sockets_.empty(); });
      --idle_;
      if (sockets_.empty()) return;
      socket = sockets_.front();
      sockets_.pop_front();
    }
    serve(socket);
  }
}

void HttpServer::serve(int socket) {
  Connection connection(socket);
  connection.set_write_timeout(options_.timeout);
  try {
    while (exchange(connection)) {
    }
  } catch (const std::exception&) {
    // Only a lack of memory leaves from here; the connection ends, the server goes on.
  }
}

bool HttpServer::exchange(Connection& connection) {
  const auto arrival =
      connection.read_head(options_.keep_alive, options_.timeout, options_.max_head,
                           [this] { return !closing_ && !crowded(); });
  if (arrival == Connection::Arrival::kClosed) return false;
  struct Active {
    std::atomic<int>& count;
    ~Active() { --count; }
  };
  ++active_;
  const Active active{active_};

  HeadLimits limits;
  limits.max_bytes = options_.max_head;
  limits.max_body = options_.max_body;
  Exchange current{
      .connection = connection, .head = check_head(connection.head(), limits), .facts = {}};
  if (arrival == Connection::Arrival::kTimeout) {
    current.head.status = 408;
    current.head.error = "the head of the request did not come in time (--timeout)";
  } else if (arrival == Connection::Arrival::kTooLarge) {
    current.head.status = 431;
    current.head.error = fmt::format("the head is larger than {} bytes", options_.max_head);
  }
  if (current.head.status != 0) {
    const HttpReply reply =
        error_reply(current.head.target, current.head.status,
                    current.head.status == 413 ? "too_large" : "bad_request", current.head.error);
    const std::string text = plain_answer(reply);
    connection.write(text.data(), text.size());
    current.close = true;
    current.status = reply.status;
    current.bytes_out = reply.body.size();
  } else {
    current.close = wants_close(current.head) || closing_ || service_.draining() || crowded();
    connection.begin(current.head.plain_text(), current.head, options_.max_body,
                     Clock::now() + options_.timeout);
    protocol_->process(current);
  }
  const bool sent = connection.flush();
  finish(current);
  if (sent && (current.head.status != 0 || !connection.body_is_read())) connection.linger();
  return sent && !current.close && current.status != 0;
}

void HttpServer::finish(const Exchange& exchange) {
  AccessRecord record;
  record.remote = exchange.connection.remote();
  record.method = exchange.head.method;
  record.target = exchange.head.target;
  record.status = exchange.status;
  record.bytes_in = exchange.bytes_in;
  record.bytes_out = exchange.bytes_out;
  record.seconds = std::chrono::duration<double>(Clock::now() - exchange.start).count();
  record.facts = exchange.facts;
  metrics_.add_request(record.facts.model, record.facts.endpoint, record.status, record.seconds);
  if (log_) log_(record);
}

}  // namespace asmlp::server
