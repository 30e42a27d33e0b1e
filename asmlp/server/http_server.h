// The server: a listening socket, a bounded number of connections, each on a thread of its own, and
// what happens to a request between its bytes and the service.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "asmlp/server/message.h"
#include "asmlp/server/metrics.h"
#include "asmlp/server/options.h"
#include "asmlp/server/queue/budget.h"
#include "asmlp/server/service.h"

namespace asmlp::server {

class Connection;

class HttpServer {
 public:
  // Sees every request once it has been answered; called by many threads.
  using Log = std::function<void(const AccessRecord&)>;

  // Listens at once. Error(kIo) when the address cannot be had, saying why.
  HttpServer(Service& service, Metrics& metrics, const HttpOptions& options, Log log);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // The port, also where the system picked it.
  int port() const { return port_; }

  // Serves until `stop` becomes true. Then the service drains, what has been accepted is answered,
  // and the connections are closed.
  void run(const std::atomic<bool>& stop);

 private:
  class Protocol;  // on httplib
  struct Exchange;

  void accept_one();
  void refuse(int socket);
  void work();
  void serve(int socket);
  // False when the connection is to be closed.
  bool exchange(Connection& connection);
  void finish(const Exchange& exchange);
  bool crowded() const;

  Service& service_;
  Metrics& metrics_;
  HttpOptions options_;
  Log log_;
  int listener_ = -1;
  int port_ = 0;
  Budget bodies_;  // bytes of bodies in memory
  std::unique_ptr<Protocol> protocol_;
  std::atomic<bool> closing_{false};
  std::atomic<int> active_{0};  // requests between head and answer

  mutable std::mutex mutex_;  // of what follows
  std::condition_variable arrived_;
  std::deque<int> sockets_;  // accepted, for idle threads; never more than those
  std::vector<std::thread> threads_;
  int idle_ = 0;
};

}  // namespace asmlp::server
