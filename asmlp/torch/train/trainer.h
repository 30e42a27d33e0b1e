// The training loop as a library: it reports to an observer, and prints nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "asmlp/torch/distributed/world.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/torch/optim/schedule.h"
#include "asmlp/torch/train/observer.h"
#include "asmlp/torch/train/pictures.h"
#include "asmlp/torch/train/run_files.h"
#include "asmlp/torch/train/state.h"
#include "asmlp/torch/train/step.h"
#include "asmlp/torch/train/task.h"

namespace asmlp::train {

// Why run() returned.
enum class Outcome {
  kFinished,  // all epochs, or as many as patience allows
  kStopped,
};

// How a run goes on.
enum class Continuation {
  kAsPlanned,
  // To more epochs than it was planned for, whether it has finished or not. The schedule is that of
  // a run of the new length, from the current epoch on: a cosine's rate rises again to where the
  // longer one is. What patience counts starts anew.
  kLonger,
};

// One run in one folder (run_files.h), by one process or by all of a World, each of which has a
// Trainer and calls the same functions; rank 0 alone writes files.
//   last.safetensors      the whole state (state.h): at least once per epoch and once a minute
//   previous.safetensors  the state saved before
//   best.safetensors      the model (the average, when it is on) of the epoch whose eval metric
//                         (task.h) is the best
//   final.safetensors     the same of the last epoch, chosen without looking at the validation set
//                         (unless patience has ended the run there)
//   summary.csv           a line per epoch
// Killed at any moment, it continues from last.safetensors to the same bits as without the kill,
// with the same number of threads and processes.
class Trainer {
 public:
  // `options` are validated; `task` was made from them. Sets LibTorch's threads. Creates the
  // folder. The exported models carry `origin`, whose "command" is kept over resumes. The world
  // must outlive the trainer.
  Trainer(TrainOptions options, std::unique_ptr<TrainingTask> task, std::filesystem::path folder,
          std::map<std::string, std::string> origin, dist::World& world);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // One of these, or none, before run(). All are collective.
  //
  // Continues from a state file, which rank 0 reads. Error(kMismatch) when the run is another one
  // (resume_options.h, check_resumable), kInvalidArgument for kLonger without more epochs. Former
  // defaults of the saved run become the options' (adopt_former_defaults).
  void resume(const std::filesystem::path& path, Continuation how = Continuation::kAsPlanned);
  // Continues from last.safetensors, or with a warning from previous.safetensors when that is
  // damaged or missing. False when the folder has neither.
  bool resume_automatically(Continuation how = Continuation::kAsPlanned);
  // Starts from the weights of options.initial_checkpoint, when that is set; what is to be said
  // about them.
  std::vector<std::string> load_initial_weights();

  // Runs to the end, or until `stop` is set in some process (then the step in hand is finished and
  // the state saved), or until `max_steps` steps of the whole run are done. Where the step in hand
  // waits for data that does not come, it is given up after some seconds (hangs()).
  //
  // A file that cannot be written (a full disk) is a warning, and is tried again at every later
  // save; the run goes on. Error(kIo) when a model or the state could still not be written at the
  // end, which says what is on disk.
  //
  // Errors: kInvalidArgument when the run has diverged, that is when loss or gradient was not
  // finite kMaxSkipped times in a row, or the weights themselves are not at the end; the state on
  // disk is then the last whose weights and loss were finite. kBadFormat when more samples of an
  // epoch could not be read than max-bad allows.
  Outcome run(Observer& observer, const std::atomic<bool>* stop = nullptr,
              std::optional<int64_t> max_steps = {});

  static constexpr int64_t kMaxSkipped = 20;

  const TaskFacts& facts() const { return task_->facts(); }
  int64_t parameters() const { return nn::parameter_count(*model_); }
  int64_t trained_parameters() const;  // those that are not frozen
  const RunState& state() const { return state_; }
  const TrainOptions& options() const { return options_; }
  int64_t steps_per_epoch() const {
    return source_->batches() / options_.schedule.accumulation_steps;
  }
  int64_t global_batch() const {
    return options_.schedule.global_batch(world_.size());
  }  // images per step
  int64_t step_in_epoch() const { return state_.images / global_batch(); }
  int64_t steps() const { return state_.epoch * steps_per_epoch() + step_in_epoch(); }
  // Whether patience has ended the run, and whether there is nothing left to do.
  bool stopped_early() const {
    return options_.run.patience > 0 && state_.validations_since_best >= options_.run.patience;
  }
  bool finished() const { return state_.epoch >= options_.schedule.epochs || stopped_early(); }
  // What is to be said about the warmup (make_schedule); "" for nothing.
  const std::string& schedule_note() const { return schedule_note_; }
  torch::Device device() const { return device_; }
  std::filesystem::path state_path() const { return files_.last(); }
  // The file that the run goes on from; empty in a new run.
  const std::filesystem::path& resumed_from() const { return resumed_from_; }
  // A worker hangs in its data: this object cannot be destroyed, the process is to end without it.
  bool hangs() const { return hangs_; }
  // What is validated and exported: the average when it is on, else the model.
  torch::nn::Module& exported_model() { return options_.optimizer.model_ema ? *average_ : *model_; }

 private:
  bool writes() const { return world_.rank() == 0; }
  std::vector<std::pair<std::string, torch::Tensor>> live_tensors();
  void restore(const RunState& saved, const TensorMap& tensors, const std::string& file);
  void share_state();
  void share_schedule();
  void plan();
  void train_mode();
  // Nothing when it has given up waiting for data.
  std::optional<StepReport> train_step(data::BatchStream& stream, const std::atomic<bool>* stop);
  void count_bad(int64_t number, const std::vector<std::string>& names);
  std::string divergence(const std::string& what) const;
  std::optional<Validation> validate_model(Observer& observer, const std::atomic<bool>* stop);
  bool finish_epoch(Observer& observer, const std::atomic<bool>* stop);
  bool healthy();
  void show_samples(Observer& observer);
  void save_state(Observer& observer);
  void save_model(const std::string& name, const Validation* validation);
  // A model that could not be written yet, as it was when it was to be.
  struct PendingModel {
    std::shared_ptr<torch::nn::Module> model;
    std::map<std::string, std::string> origin;
  };
  bool attempt(const std::string& file, const std::function<void()>& write);
  void write_pending();
  void require_saved(const std::string& what);

  TrainOptions options_;
  std::unique_ptr<TrainingTask> task_;
  dist::World& world_;
  torch::Device device_;
  torch::ScalarType precision_;
  RunFiles files_;
  std::filesystem::path resumed_from_;
  std::map<std::string, std::string> origin_;
  RunState state_;
  std::shared_ptr<torch::nn::Module> model_, average_;
  std::unique_ptr<data::BatchSource> source_;
  std::unique_ptr<data::BatchSource> validation_;
  SampleSheet samples_;
  std::optional<Step> step_;
  Schedule schedule_;
  std::string schedule_note_;
  int64_t max_bad_ = 0;             // per epoch
  int64_t max_bad_validation_ = 0;  // per pass
  bool loss_finite_ = true;         // of the last step
  bool hangs_ = false;
  std::map<std::string, std::string> unwritten_;  // files, and why
  std::map<std::string, PendingModel> pending_;   // by file
  double written_best_ = -1;     // state_.best and best_epoch of the best.safetensors ...
  int written_best_epoch_ = -1;  // ... that is on disk
  bool stop_agreed_ = false;     // the processes know that one of them was asked to stop
};

}  // namespace asmlp::train
