// What a training run shows on standard error.
#pragma once

#include <chrono>
#include <memory>

#include "asmlp/cli/terminal/progress.h"
#include "asmlp/torch/train/trainer.h"

namespace asmlp::cli {

// On a terminal a bar per epoch; elsewhere a line every `log_interval` steps. Both are cut to the
// width: what steps.csv has too is left out first. After each epoch one line with its summary:
//   epoch 3/30  loss 0.8123  lr 2.0e-03  validation loss 0.3120  top-1 90.120 %  top-5 99.700 %
//   *best*
class TrainDisplay : public train::Observer {
 public:
  // `first_step` is where the run starts (not 0 when it is resumed): rates count from there.
  TrainDisplay(int log_interval, int64_t first_step,
               const ProgressStyle& style = ProgressStyle::detect());

  void on_step(const train::StepReport& report) override;
  void on_validation(int64_t images, int64_t total) override;
  void on_epoch(const EpochSummary& summary, bool best) override;
  // Ends a bar that is being drawn.
  void close();

  int64_t skipped() const { return skipped_; }
  double images_per_second() const;  // of training steps, validation left out
  double data_wait() const;          // share of their time that was spent waiting for images

 private:
  using Clock = std::chrono::steady_clock;

  double seconds_left(const train::StepReport& report) const;

  ProgressStyle style_;
  int log_interval_;
  int64_t first_step_;
  int epochs_ = 0;
  int64_t images_ = 0;    // of the steps seen by this object
  double seconds_ = 0;    // spent in them
  double data_wait_ = 0;  // of these, waiting for images
  int64_t skipped_ = 0;
  int64_t bad_ = 0;
  bool validating_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
  std::unique_ptr<Progress> bar_;
  int64_t bar_first_ = 0;  // batch at which the bar started
};

}  // namespace asmlp::cli
