#include "asmlp/cli_torch/train_display.h"

#include <fmt/format.h>

#include <iostream>

namespace asmlp::cli {

TrainDisplay::TrainDisplay(int log_interval, int64_t first_step)
    : style_(ProgressStyle::detect()), log_interval_(log_interval), first_step_(first_step) {}

double TrainDisplay::images_per_second() const {
  return seconds_ > 0 ? double(images_) / seconds_ : 0;
}

void TrainDisplay::on_step(const train::StepReport& r) {
  const Clock::time_point now = Clock::now();
  seconds_ += std::chrono::duration<double>(now - last_).count();
  last_ = now;
  images_ += r.images;
  epochs_ = r.epochs;
  if (r.skipped) ++skipped_;
  bad_ += r.bad_samples;

  // The time left counts validation too: it is part of the wall time so far.
  const int64_t step = r.epoch * r.batches + r.batch + 1;
  const double wall = std::chrono::duration<double>(now - start_).count();
  const double left =
      wall / double(step - first_step_) * double(int64_t{r.epochs} * r.batches - step);
  std::string details =
      fmt::format("loss {:.4f} lr {:.2e} ETA {}", r.mean_loss, r.lr, format_duration(left));
  if (skipped_ > 0) details += fmt::format(" skipped {}", skipped_);
  if (bad_ > 0) details += fmt::format(" bad {}", bad_);
  if (style_.terminal) {
    if (!bar_) {
      bar_first_ = r.batch;
      bar_ = std::make_unique<Progress>(fmt::format("epoch {}/{}", r.epoch + 1, r.epochs),
                                        (r.batches - r.batch) * r.images, "img", style_);
    }
    bar_->update((r.batch + 1 - bar_first_) * r.images, details);
  } else if ((r.batch + 1) % log_interval_ == 0 || r.batch + 1 == r.batches) {
    std::cerr << fmt::format("epoch {}/{} step {}/{} {:.0f} img/s {} grad {:.3g}\n", r.epoch + 1,
                             r.epochs, r.batch + 1, r.batches, images_per_second(), details,
                             r.gradient_norm)
              << std::flush;
  }
}

void TrainDisplay::on_validation(int64_t images, int64_t total) {
  if (style_.terminal) {
    if (!validating_) {
      close();
      validating_ = true;
      bar_ = std::make_unique<Progress>("validate", total, "img", style_);
    }
    if (bar_) bar_->update(images);
  }
  last_ = Clock::now();
}

void TrainDisplay::on_epoch(const EpochSummary& s, bool best) {
  close();
  std::string line =
      fmt::format("epoch {}/{}  loss {:.4f}  lr {:.2e}", s.epoch + 1, epochs_, s.train_loss, s.lr);
  for (const EvalMetric& metric : s.metrics) {
    line += fmt::format("  {}{} {}", metric.name == "loss" ? "validation " : "",
                        eval_metric_info(metric.name).label, eval_metric_text(metric));
  }
  if (best) line += "  *best*";
  std::cerr << line << '\n' << std::flush;
  last_ = Clock::now();
}

void TrainDisplay::close() {
  if (bar_) bar_->finish();
  bar_.reset();
  validating_ = false;
}

}  // namespace asmlp::cli
