// Rank 0's end of the meeting point: keeps the keys, and lets in who knows the token.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "asmlp/torch/distributed/store_wire.h"

namespace asmlp::dist {

// Where a server listens, and to whom.
enum class Reach {
  kMachine,  // the loopback address; without a token, to processes of the same user
  kNetwork,  // the address that the others are told; with a token only
};

struct ServerOptions {
  Reach reach = Reach::kMachine;
  std::string address;  // kNetwork: as the others know this machine
  int port = 0;
  std::string token;
  // How long a connection may take to prove itself, and how many may be about to; beyond that the
  // oldest is closed.
  std::chrono::milliseconds proof_limit{std::chrono::seconds(10)};
  size_t most_unproven = 128;
};

// A thread that serves until the end. Whatever unproven connections send, leave out, or leave open
// ends or holds up nothing but themselves.
class StoreServer {
 public:
  // Error(kIo) when the port is in use or the address cannot be listened at.
  explicit StoreServer(const ServerOptions& options);
  ~StoreServer();
  StoreServer(const StoreServer&) = delete;
  StoreServer& operator=(const StoreServer&) = delete;

  StoreTable& table();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The user of the process at the other end of a loopback connection, by the system's table of
// connections; -1 when it is not there.
int64_t user_of_peer(int socket);

}  // namespace asmlp::dist
