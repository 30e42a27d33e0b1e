#include "asmlp/cli_torch/train/train_display.h"

#include <fmt/format.h>

#include <iostream>

namespace asmlp::cli {

TrainDisplay::TrainDisplay(int log_interval, int64_t first_step, const ProgressStyle& style)
    : style_(style), log_interval_(log_interval), first_step_(first_step) {
  if (style_.out == nullptr) style_.out = &std::cerr;
  static std::ostream nowhere(nullptr);
  if (style_.quiet) {
    style_.out = &nowhere;
    style_.terminal = false;
  }
}

double TrainDisplay::images_per_second() const {
  return seconds_ > 0 ? double(images_) / seconds_ : 0;
}

double TrainDisplay::data_wait() const { return seconds_ > 0 ? data_wait_ / seconds_ : 0; }

// Of the whole run. It counts validation too: that is part of the wall time so far.
double TrainDisplay::seconds_left(const train::StepReport& r) const {
  const int64_t step = r.epoch * r.batches + r.batch + 1;
  const double wall = std::chrono::duration<double>(last_ - start_).count();
  return wall / double(step - first_step_) * double(int64_t{r.epochs} * r.batches - step);
}

void TrainDisplay::on_step(const train::StepReport& r) {
  const Clock::time_point now = Clock::now();
  seconds_ += std::chrono::duration<double>(now - last_).count();
  data_wait_ += r.data_wait;
  last_ = now;
  images_ += r.images;
  epochs_ = r.epochs;
  if (r.skipped) ++skipped_;
  bad_ += r.bad_samples;

  const std::string loss = fmt::format("loss {:.4f}", r.mean_loss);
  const std::string lr = fmt::format(" lr {:.2e}", r.lr);
  std::string end = fmt::format(" ETA {}", format_duration(seconds_left(r)));
  if (skipped_ > 0) end += fmt::format(" skipped {}", skipped_);
  if (bad_ > 0) end += fmt::format(" bad {}", bad_);
  if (style_.terminal) {
    if (!bar_) {
      bar_first_ = r.batch;
      bar_ = std::make_unique<Progress>(fmt::format("epoch {}/{}", r.epoch + 1, r.epochs),
                                        (r.batches - r.batch) * r.images, "img", style_);
    }
    bar_->update((r.batch + 1 - bar_first_) * r.images, loss + lr + end);
  } else if ((r.batch + 1) % log_interval_ == 0 || r.batch + 1 == r.batches) {
    const std::string head =
        fmt::format("epoch {}/{} step {}/{} ", r.epoch + 1, r.epochs, r.batch + 1, r.batches);
    const std::string rate = fmt::format("{:.0f} img/s ", images_per_second());
    const std::string norm = fmt::format(" grad {:.3g}", r.gradient_norm);
    *style_.out << first_fitting(
                       {head + rate + loss + lr + end + norm, head + rate + loss + lr + end,
                        head + loss + lr + end, head + loss + end},
                       style_.columns)
                << '\n'
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
  *style_.out << line << '\n' << std::flush;
  last_ = Clock::now();
}

void TrainDisplay::close() {
  if (bar_) bar_->finish();
  bar_.reset();
  validating_ = false;
}

}  // namespace asmlp::cli
