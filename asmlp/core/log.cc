#include "asmlp/core/log.h"

#include <mutex>

namespace asmlp {
namespace {

std::mutex mutex;
LogCallback& callback() {
  static LogCallback instance;
  return instance;
}

}  // namespace

void set_log_callback(LogCallback replacement) {
  const std::lock_guard lock(mutex);
  callback() = std::move(replacement);
}

void log_message(LogLevel level, const std::string& message) {
  LogCallback current;
  {
    const std::lock_guard lock(mutex);
    current = callback();
  }
  if (current) current(level, message);
}

}  // namespace asmlp
