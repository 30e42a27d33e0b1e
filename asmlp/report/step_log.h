// steps.csv: a line per logged step of a run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/report/append_file.h"

namespace asmlp {

// The steps since the line before, this one included. NaN where there is no finite value.
struct StepLine {
  double epoch = 0;              // passes over the training images done: 1.5 is half of the second
  int64_t step = 0;              // steps done, from 1
  int64_t images = 0;            // seen so far, of all processes
  double loss = 0;               // mean
  double lr = 0;                 // of the step
  double gradient_norm = 0;      // mean, before clipping
  double images_per_second = 0;  // of all processes, validation left out
  double seconds = 0;            // of the run so far, without the time between a stop and a resume
};

// The lines of a steps.csv up to `last_step`; none when there is no file. A line cut off by a kill,
// and everything from the first line that is none of ours, is left out.
std::vector<StepLine> read_steps(const std::filesystem::path& path, int64_t last_step = INT64_MAX);

// Appends to steps.csv.
class StepLog {
 public:
  // Rewrites the file atomically with `kept` (empty: a new run), then appends. Error(kIo).
  StepLog(const std::filesystem::path& path, const std::vector<StepLine>& kept);
  void add(const StepLine& line);
  void flush() { file_->flush(); }

 private:
  std::optional<AppendFile> file_;
};

}  // namespace asmlp
