// Messages of the library go to a callback; without one they are dropped. The library never prints.
#pragma once

#include <functional>
#include <string>

namespace asmlp {

enum class LogLevel { kDebug, kInfo, kWarning };
using LogCallback = std::function<void(LogLevel, const std::string&)>;

// Replaces the callback (an empty one silences). Thread-safe.
void set_log_callback(LogCallback callback);

// Hands a message to the callback.
void log_message(LogLevel level, const std::string& message);

}  // namespace asmlp
