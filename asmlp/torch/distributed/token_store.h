// The store by which the processes of a run find one another: c10d's interface, with a token.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "asmlp/torch/distributed/store_server.h"

namespace asmlp::dist {

// How the message of an error begins that means: rank 0 is gone, or no longer answers.
inline constexpr const char* kBrokenStore = "the connection to rank 0 is broken";

// Instead of c10d's TCPStore, which listens at every address, takes orders from everyone, and ends
// by an exception when it is sent three bytes that are none. docs/guide/distributed.md says what it
// protects.
//
// One connection, used by one thread at a time. All functions of c10d's interface that a LibTorch
// may ask for are there (no watchKey, none of the optional ones after 1.13). They throw Error(kIo)
// when the server hangs up or does not answer within the timeout; wait() and get() also when a key
// does not come.
class TokenStore : public c10d::Store {
 public:
  using Millis = std::chrono::milliseconds;

  // In rank 0's process: without a connection.
  TokenStore(std::shared_ptr<StoreServer> server, Millis timeout);
  // Connects, trying again until `timeout`. Error(kIo) when that does not work, kMismatch when the
  // other end has another token, or is no store of a run.
  TokenStore(const std::string& address, int port, std::string token, Millis timeout);
  ~TokenStore() override;

  void set(const std::string& key, const std::vector<uint8_t>& value) override;
  std::vector<uint8_t> compareSet(const std::string& key, const std::vector<uint8_t>& expected,
                                  const std::vector<uint8_t>& desired) override;
  std::vector<uint8_t> get(const std::string& key) override;
  int64_t add(const std::string& key, int64_t value) override;
  bool deleteKey(const std::string& key) override;
  bool check(const std::vector<std::string>& keys) override;
  int64_t getNumKeys() override;
  void wait(const std::vector<std::string>& keys) override;
  void wait(const std::vector<std::string>& keys, const Millis& timeout) override;
  // A connection of its own to the same server. Some later LibTorch has this in its interface.
  // NOLINTNEXTLINE(modernize-use-override)
  c10::intrusive_ptr<c10d::Store> clone();

 private:
  std::string ask(const std::string& request);

  const std::shared_ptr<StoreServer> server_;
  const std::string address_;
  const int port_ = 0;
  const std::string token_;
  std::mutex mutex_;
  int socket_ = -1;
};

}  // namespace asmlp::dist
