// Processes in parallel, until they are done, the time is over or the user wants to stop.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/study/child.h"

namespace asmlp::study {

using StudyClock = std::chrono::steady_clock;

struct StudyJob {
  std::vector<std::string> arguments;  // of the program
  std::filesystem::path out;           // its standard output
  std::filesystem::path log;           // its standard error
  // Called at every look at the running process, some ten times a second; true asks it to stop.
  std::function<bool()> enough = nullptr;
  std::function<void(const StudyChild&)> finished = nullptr;
};

enum class PoolEnd { kDone, kInterrupted, kOutOfTime };

// Runs the jobs in their order, `at_once` at a time. On a signal (core/stop_signals.h, which the
// caller installs), or past `deadline`, no more are started, and the running ones are asked to save
// and end, which is waited for; a second signal kills them. `tick` is called between the looks.
PoolEnd run_pool(const std::filesystem::path& program, const std::vector<StudyJob>& jobs,
                 int at_once, std::optional<StudyClock::time_point> deadline,
                 const std::function<void()>& tick);

}  // namespace asmlp::study
