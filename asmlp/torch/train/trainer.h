// The training loop as a library: it reports to an observer, and prints nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "asmlp/dataset/dataset.h"
#include "asmlp/torch/data/loader.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/train/adamw.h"
#include "asmlp/torch/train/evaluate.h"
#include "asmlp/torch/train/schedule.h"
#include "asmlp/torch/train/state.h"

namespace asmlp::train {

struct StepReport {
  int epoch = 0;             // from 0
  int64_t batch = 0;         // of the epoch, from 0
  int64_t batches = 0;       // per epoch
  int epochs = 0;            // of the run
  double loss = 0;           // of this step
  double mean_loss = 0;      // of the epoch so far
  double gradient_norm = 0;  // before clipping
  double lr = 0;
  bool skipped = false;  // the loss or the gradient was not finite: no update
};

// What happens in a run, on the thread that runs it. The default does nothing.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_step(const StepReport&) {}
  virtual void on_validation(int64_t /*images*/, int64_t /*total*/) {}
  virtual void on_epoch(const EpochSummary&, bool /*best*/) {}
  virtual void on_saved(const std::filesystem::path&) {}
};

// Why run() returned.
enum class Outcome { kFinished, kStopped };

// One run in one folder:
//   last.safetensors   the whole state (state.h): at least once per epoch and once a minute
//   best.safetensors   the model (the average, when it is on) of the best validation top-1
//   final.safetensors  the same of the last epoch, chosen without looking at the validation set
//   summary.csv        a line per epoch
// Killed at any moment, it continues from last.safetensors to the same bits as without the kill,
// with the same number of threads.
class Trainer {
 public:
  // `options` are validated. Sets LibTorch's threads. Both data sets must have the same classes and
  // must outlive the trainer. Creates the folder. The exported models are called <model>.<tag> and
  // carry `origin`, whose "command" is kept over resumes.
  Trainer(TrainOptions options, const Dataset& training, const Dataset& validation,
          std::filesystem::path folder, const std::string& tag,
          std::map<std::string, std::string> origin);

  // Continues from a state file. Error(kMismatch) when the run is another one (options.h,
  // check_resumable). Call before run().
  void resume(const std::filesystem::path& path);

  // Runs to the end, or until `stop` is set (then the step in hand is finished and the state
  // saved), or until `max_steps` steps of the whole run are done. Error(kInvalidArgument) when the
  // loss was not finite kMaxSkipped times in a row.
  Outcome run(Observer& observer, const std::atomic<bool>* stop = nullptr,
              std::optional<int64_t> max_steps = {});

  static constexpr int64_t kMaxSkipped = 20;

  const ModelSpec& spec() const { return state_.spec; }
  const RunState& state() const { return state_; }
  int64_t steps_per_epoch() const { return loader_->batches(); }
  std::filesystem::path state_path() const { return folder_ / "last.safetensors"; }
  // What is validated and exported: the average when it is on, else the model.
  nn::AsMlp& exported_model() { return options_.model_ema ? average_ : model_; }

 private:
  StepReport train_step(const data::Batch& batch);
  bool finish_epoch(Observer& observer, const std::atomic<bool>* stop);
  void save_state(Observer& observer);
  void save_model(const char* name, const Evaluation* evaluation);
  TensorMap state_tensors();

  TrainOptions options_;
  std::filesystem::path folder_;
  std::map<std::string, std::string> origin_;
  RunState state_;
  nn::AsMlp model_{nullptr};
  nn::AsMlp average_{nullptr};
  std::optional<AdamW> optimizer_;
  std::optional<data::Loader> loader_;
  std::optional<data::Loader> validation_loader_;
  Schedule schedule_;
};

}  // namespace asmlp::train
