// One client's connection: every wait in it has an end, and no more is read than a request may
// have.
#pragma once

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "asmlp/server/protocol/head.h"
#include "asmlp/server/queue/batcher.h"

namespace asmlp::server {

// What httplib reads a request from and writes an answer to. Its own stream limits single calls of
// the system only, which a slow client stretches to hours.
class Connection final : public httplib::Stream {
 public:
  // Takes the socket, which does not block, and closes it in the end.
  explicit Connection(int socket);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  enum class Arrival { kHead, kClosed, kTimeout, kTooLarge };
  // Waits for the head of the next request: its first byte as long as `idle` and while
  // `keep_waiting` is true, all of it for `timeout` more.
  Arrival read_head(std::chrono::milliseconds idle, std::chrono::milliseconds timeout,
                    size_t max_bytes, const std::function<bool()>& keep_waiting);
  // The head that has come, with its empty line.
  const std::string& head() const { return head_; }

  // From here on httplib reads `plain`, then the body that `head` announces, until the deadline.
  void begin(std::string plain, const Head& head, uint64_t max_body, Clock::time_point deadline);
  // Nothing of the body is left to read: of chunks, the last bytes that were read are the empty
  // line after them. (httplib takes a chunk that is longer than it says for the last one.)
  bool body_is_read() const { return chunked_ ? tail_ == "\r\n\r\n" : body_left_ == 0; }
  bool timed_out() const { return timed_out_; }
  // More bytes of chunks have come than any allowed body needs.
  bool too_many_chunks() const { return chunked_ && body_left_ == 0; }

  // The deadline of the answer. flush() sends what was written; false when the client is gone or
  // too slow.
  void set_write_timeout(std::chrono::milliseconds timeout) { write_timeout_ = timeout; }
  bool flush();
  // Says that nothing more will be sent, and drops what the client still sends for a moment: if the
  // socket were closed at once, the system would throw the answer away.
  void linger();

  const std::string& remote() const { return remote_; }

  bool is_readable() const override { return true; }
  bool is_writable() const override { return !broken_; }
  ssize_t read(char* bytes, size_t size) override;
  ssize_t write(const char* bytes, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  // Waits until the socket is ready; false at the deadline.
  bool wait(short events, Clock::time_point deadline) const;
  ssize_t receive(char* bytes, size_t size, Clock::time_point deadline);

  int socket_;
  std::string remote_;
  std::string input_;  // came with a head, and belongs to what follows it
  std::string head_;
  std::string plain_;
  size_t plain_read_ = 0;
  bool chunked_ = false;
  std::string tail_;        // of the chunks that have been read
  uint64_t body_left_ = 0;  // bytes that may still be read
  Clock::time_point read_deadline_{};
  std::chrono::milliseconds write_timeout_{30'000};
  std::string output_;
  bool timed_out_ = false, broken_ = false;
};

}  // namespace asmlp::server
