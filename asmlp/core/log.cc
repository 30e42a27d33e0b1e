#include "asmlp/core/log.h"

#include <pthread.h>

#include <mutex>

namespace asmlp {
namespace {

std::mutex log_mutex;
// A child of fork() shall not find it locked by a thread that it does not have.
[[maybe_unused]] const int log_forks = ::pthread_atfork(
    [] { log_mutex.lock(); }, [] { log_mutex.unlock(); }, [] { log_mutex.unlock(); });

LogCallback& callback() {
  static LogCallback instance;
  return instance;
}

}  // namespace

void set_log_callback(LogCallback replacement) {
  const std::lock_guard lock(log_mutex);
  callback() = std::move(replacement);
}

void log_message(LogLevel level, const std::string& message) {
  LogCallback current;
  {
    const std::lock_guard lock(log_mutex);
    current = callback();
  }
  if (current) current(level, message);
}

}  // namespace asmlp
