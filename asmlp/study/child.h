// A training process of a study.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace asmlp::study {

// Runs in a process group of its own, so that Ctrl-C reaches the study alone; it is asked to stop
// (SIGTERM: a training run saves and ends) when the study dies, whatever the cause.
class StudyChild {
 public:
  // Starts `program` with `arguments` (without its name). Standard output becomes the file `out`
  // (made anew), standard error is appended to `log`. Error(kIo) when that is not possible.
  StudyChild(const std::filesystem::path& program, const std::vector<std::string>& arguments,
             const std::filesystem::path& out, const std::filesystem::path& log);
  // Kills it if it still runs.
  ~StudyChild();
  StudyChild(const StudyChild&) = delete;
  StudyChild& operator=(const StudyChild&) = delete;

  // True when it has ended. Does not wait.
  bool ended();
  // Asks it once to save and end.
  void stop();
  bool stopped() const { return stopped_; }

  // After ended(): the exit code or 128 + the signal, and the largest resident memory in bytes.
  int code() const { return code_; }
  int64_t peak_memory() const { return peak_memory_; }

 private:
  pid_t pid_ = -1;
  bool ended_ = false;
  bool stopped_ = false;
  int code_ = 0;
  int64_t peak_memory_ = 0;
};

// How far a run is, by the lines that `asmlp train` writes to its log:
// "epoch 2/4 step 15/24 ...". 0 of 0 before the first.
struct StudyPosition {
  int64_t step = 0;   // of the whole run
  int64_t steps = 0;  // in the whole run
};
StudyPosition read_position(const std::filesystem::path& log);

}  // namespace asmlp::study
