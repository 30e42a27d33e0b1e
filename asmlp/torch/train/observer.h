// What a run tells about itself while it goes: the trainer prints nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "asmlp/report/picture.h"
#include "asmlp/torch/train/state.h"

namespace asmlp::train {

struct StepReport {
  int epoch = 0;         // from 0
  int64_t batch = 0;     // of the epoch, from 0; a global batch is a step
  int64_t batches = 0;   // per epoch
  int epochs = 0;        // of the run
  int64_t images = 0;    // of this step, over all processes
  double loss = 0;       // of this step
  double mean_loss = 0;  // of the epoch so far
  std::vector<std::pair<std::string, double>> parts;  // of this step's loss, where it has some
  double gradient_norm = 0;                           // before clipping
  double lr = 0;
  double loss_scale = 1;    // with fp16
  int64_t bad_samples = 0;  // that could not be read, in this step
  double data_wait = 0;     // seconds that this process waited for its images in this step
  bool skipped = false;     // the loss or the gradient was not finite: no update
};

// What happens in a run, on the thread that runs it. The default does nothing.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_step(const StepReport&) {}
  // Images done so far and in all (over all processes, roughly: the others may be ahead or behind).
  virtual void on_validation(int64_t /*images*/, int64_t /*total*/) {}
  // Pictures of training samples, or of the validation just done (before its on_epoch).
  virtual void on_pictures(const std::vector<Picture>&) {}
  virtual void on_epoch(const EpochSummary&, bool /*best*/) {}
  virtual void on_saved(const std::filesystem::path&) {}
};

// Tells several, in order. They must outlive it.
class Observers : public Observer {
 public:
  void add(Observer& observer) { observers_.push_back(&observer); }
  void on_step(const StepReport& report) override {
    for (Observer* o : observers_) o->on_step(report);
  }
  void on_validation(int64_t images, int64_t total) override {
    for (Observer* o : observers_) o->on_validation(images, total);
  }
  void on_pictures(const std::vector<Picture>& pictures) override {
    for (Observer* o : observers_) o->on_pictures(pictures);
  }
  void on_epoch(const EpochSummary& summary, bool best) override {
    for (Observer* o : observers_) o->on_epoch(summary, best);
  }
  void on_saved(const std::filesystem::path& path) override {
    for (Observer* o : observers_) o->on_saved(path);
  }

 private:
  std::vector<Observer*> observers_;
};

}  // namespace asmlp::train
