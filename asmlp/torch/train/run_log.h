// What a training run writes for people: TensorBoard's events, steps.csv, run.json,
// report.html with its pictures, and curves.svg.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "asmlp/report/event_file.h"
#include "asmlp/report/report.h"
#include "asmlp/report/step_log.h"
#include "asmlp/torch/train/trainer.h"

namespace asmlp::train {

// What the log cannot see from the steps.
struct RunFacts {
  // What is trained, for run.json and the report: "model", "data", "epochs", "seed",
  // "parameters"...
  nlohmann::ordered_json run;
  // This start: "command", "world_size", "threads", ... The time, the machine, the libraries and
  // the position are added.
  nlohmann::ordered_json start;
  std::string recipe;                 // the options in use, as YAML
  std::string eval_metric = "top1";   // train/task.h
  int64_t images_per_step = 1;        // of all processes, all accumulated batches
  int log_interval = 50;              // steps
  bool resumed = false;               // continues the run in the folder
  int64_t steps_done = 0;             // when it starts; more than 0 only when resumed
  int64_t skipped_steps = 0;          // among them
  std::vector<EpochSummary> history;  // of them
};

// Writes into the folder of the run, at every multiple of log_interval steps, at the end of every
// epoch and at close(); docs/guide/logs.md has the files. An error of writing (a full disk) is a
// warning in the log of the library (core/log.h), once per file, and never ends the training. To be
// used by one process of a run.
class RunLog : public Observer {
 public:
  RunLog(std::filesystem::path folder, RunFacts facts);
  // Without close(), the outcome is "failed".
  ~RunLog() override;

  void on_step(const StepReport& report) override;
  void on_validation(int64_t images, int64_t total) override;
  void on_pictures(const std::vector<Picture>& pictures) override;
  void on_epoch(const EpochSummary& summary, bool best) override;
  // The end of this start: "finished" or "stopped", and what came out of it ("skipped_steps",
  // "bad_samples", ...), an object.
  void close(const std::string& outcome, const nlohmann::ordered_json& result);
  // The end by an error: outcome "failed", with the error's message.
  void fail(const std::string& error);

 private:
  using Clock = std::chrono::steady_clock;

  void start_files();
  void open_steps();
  void open_events();
  void log_steps(const StepReport& report);
  void write_pages();
  void guarded(const std::string& file, const std::function<void()>& write);

  std::filesystem::path folder_;
  RunFacts facts_;
  ReportData data_;
  std::unique_ptr<EventFile> events_;  // null where it could not be created
  std::unique_ptr<StepLog> step_log_;
  std::set<std::string> warned_;
  bool recipe_written_ = false;
  bool closed_ = false;
  int epoch_ = 0, epochs_ = 1;  // of the last step
  int64_t shown_part_ = -1;     // of the run, whose validation's pictures the event file has

  int64_t step_ = 0;           // steps of the run done
  int64_t skipped_;            // of them without update
  double seconds_before_ = 0;  // of the run, before this start
  Clock::time_point start_ = Clock::now();
  // Since the last line:
  Clock::time_point last_ = start_;
  double seconds_ = 0;    // in training steps
  double data_wait_ = 0;  // of them, for images
  int64_t steps_ = 0, finite_ = 0;
  double loss_sum_ = 0, norm_sum_ = 0;
  std::map<std::string, double> part_sums_;
};

}  // namespace asmlp::train
