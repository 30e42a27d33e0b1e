// What all processes of a run find out, and one tells.
#pragma once

#include <string>

#include "asmlp/core/log.h"
#include "asmlp/torch/distributed/world.h"

namespace asmlp::train {

// A warning in the log of the first process; nothing for "".
inline void say(const dist::World& world, const std::string& note) {
  if (!note.empty() && world.rank() == 0) log_message(LogLevel::kWarning, note);
}

}  // namespace asmlp::train
