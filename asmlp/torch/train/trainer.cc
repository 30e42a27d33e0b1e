#include "asmlp/torch/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/log.h"
#include "asmlp/torch/ops/runtime.h"
#include "asmlp/torch/optim/param_groups.h"
#include "asmlp/torch/train/device.h"

namespace asmlp::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// How much work a kill may cost.
constexpr std::chrono::seconds kSaveEvery{60};
// How long a run that is to stop waits for the data of the step in hand.
constexpr std::chrono::seconds kDataPatience{5};

int64_t bad_limit(const TrainOptions& options, int64_t images) {
  return options.run.max_bad.value_or((images + 99) / 100);
}

}  // namespace

Trainer::Trainer(TrainOptions options, std::unique_ptr<TrainingTask> task, fs::path folder,
                 std::map<std::string, std::string> origin, dist::World& world)
    : options_(std::move(options)),
      task_(std::move(task)),
      world_(world),
      device_(resolve_device(options_.run.device, world.local_rank())),
      precision_(autocast_type_for(options_.run.amp, device_)),
      files_(std::move(folder)),
      origin_(std::move(origin)),
      samples_(world.rank() == 0 ? options_.run.report_images : 0) {
  validate(options_);
  const TaskFacts& facts = task_->facts();
  state_.model = task_->model_json();
  state_.options = options_;
  if (const auto command = origin_.find("command"); command != origin_.end()) {
    state_.command = command->second;
  }
  state_.train_images = facts.training_images;
  state_.world = world_.size();
  state_.threads = nn::configure_runtime(options_.run.threads);
  max_bad_ = bad_limit(options_, facts.training_images);
  max_bad_validation_ = bad_limit(options_, facts.validation_images);

  task_->open_caches(files_.folder());
  source_ = task_->training_batches();
  require(steps_per_epoch() >= 1, ErrorCode::kInvalidArgument,
          "accumulation-steps {}: an epoch has {} batches only",
          options_.schedule.accumulation_steps, source_->batches());
  validation_ = task_->validation_batches();
  plan();

  torch::manual_seed(data::derive_seed(options_.run.seed, {data::kSeedInit}));
  model_ = task_->make_model();
  model_->to(device_);
  freeze_stages(*model_, options_.optimizer.freeze);
  step_.emplace(
      options_, model_,
      [this](data::Batch& batch, const MicroBatch& place) {
        ModelLoss loss = task_->loss(*model_, batch, place);
        samples_.add(*task_, batch);
        return loss;
      },
      world_, device_, precision_, GradScaler(precision_ == torch::kHalf));
  if (options_.optimizer.model_ema) {
    average_ = task_->make_model();
    average_->to(device_);
    for (torch::Tensor& p : average_->parameters()) p.set_requires_grad(false);
    update_average(*average_, *model_, 0.0);
  }
  if (writes()) files_.prepare();
}

// The schedule of the options.
void Trainer::plan() {
  schedule_note_.clear();
  schedule_ = make_schedule(options_.schedule, options_.learning_rates(world_.size()),
                            steps_per_epoch(), &schedule_note_);
}

int64_t Trainer::trained_parameters() const {
  int64_t count = 0;
  for (const torch::Tensor& p : model_->parameters()) count += p.requires_grad() ? p.numel() : 0;
  return count;
}

void Trainer::train_mode() {
  model_->train();
  set_frozen_to_evaluation(*model_, options_.optimizer.freeze);
}

// Whether a file was written. A full disk may have room later.
bool Trainer::attempt(const std::string& file, const std::function<void()>& write) {
  try {
    write();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kIo && error.code() != ErrorCode::kNotFound) throw;
    if (unwritten_.insert_or_assign(file, error.what()).second) {
      log_message(
          LogLevel::kWarning,
          fmt::format("{}; the training goes on, and tries again at every save", error.what()));
    }
    return false;
  }
  if (unwritten_.erase(file) > 0) {
    log_message(LogLevel::kWarning,
                fmt::format("{}: written now", (files_.folder() / file).string()));
  }
  return true;
}

// What could not be written before.
void Trainer::write_pending() {
  for (auto it = pending_.begin(); it != pending_.end();) {
    const auto& [name, pending] = *it;
    const bool written = attempt(name, [&, &file = name, &model = pending] {
      task_->write_model(files_.folder() / file, *model.model, model.origin);
    });
    if (written && name == "best.safetensors") {
      written_best_ = state_.best;
      written_best_epoch_ = state_.best_epoch;
    }
    it = written ? pending_.erase(it) : std::next(it);
  }
  if (unwritten_.contains("summary.csv")) {
    attempt("summary.csv", [&] { files_.write_summary(state_.history); });
  }
}

// Error(kIo) when a model or the state is not on disk.
void Trainer::require_saved(const std::string& what) {
  for (const char* file : {"last.safetensors", "final.safetensors", "best.safetensors"}) {
    const auto found = unwritten_.find(file);
    if (found == unwritten_.end()) continue;
    const bool state = std::string(file) == "last.safetensors";
    fail(ErrorCode::kIo, "{}, but not saved: {}. {}; make room, then asmlp train --resume {}", what,
         found->second,
         state ? "What was trained since the last state that was saved is lost"
               : fmt::format("{} is not the one of this run's end", file),
         files_.folder().string());
  }
}

void Trainer::save_model(const std::string& name, const Validation* validation) {
  if (!writes()) return;
  std::map<std::string, std::string> origin = origin_;
  if (!state_.command.empty()) origin["command"] = state_.command;
  origin["epochs"] = fmt::format("{} of {}", state_.epoch + 1, options_.schedule.epochs);
  origin["seed"] = std::to_string(options_.run.seed);
  origin["weights"] = options_.optimizer.model_ema ? "exponential moving average" : "last step";
  if (validation) {
    for (const EvalMetric& metric : validation->metrics) {
      if (metric.name == "loss") continue;
      origin["validation_" + metric.name] = fmt::format("{:.5g}", metric.value);
    }
  }
  pending_.erase(name);
  const bool written =
      attempt(name, [&] { task_->write_model(files_.folder() / name, exported_model(), origin); });
  if (!written) {
    PendingModel pending{task_->make_model(), std::move(origin)};
    update_average(*pending.model, exported_model(), 0.0);
    pending_.emplace(name, std::move(pending));
  } else if (name == "best.safetensors") {
    written_best_ = state_.best;
    written_best_epoch_ = state_.best_epoch;
  }
}

void Trainer::count_bad(int64_t number, const std::vector<std::string>& names) {
  for (const std::string& name : names) log_message(LogLevel::kWarning, "left out: " + name);
  state_.bad_samples += number;
  state_.bad_in_epoch += number;
  require(
      state_.bad_in_epoch <= max_bad_, ErrorCode::kBadFormat,
      "{} samples of epoch {} could not be read, more than max-bad allows ({}): repair the data "
      "(the warnings name them), or raise --max-bad",
      state_.bad_in_epoch, state_.epoch + 1, max_bad_);
}

std::optional<StepReport> Trainer::train_step(data::BatchStream& stream,
                                              const std::atomic<bool>* stop) {
  const bool stopping = stop && stop->load();
  const auto give_up = [stop, since = std::optional<Clock::time_point>()]() mutable {
    if (!stop || !stop->load()) return false;
    if (!since) since = Clock::now();
    return Clock::now() - *since > kDataPatience;
  };
  StepReport report;
  report.epoch = state_.epoch;
  report.batch = step_in_epoch();
  report.batches = steps_per_epoch();
  report.epochs = options_.schedule.epochs;
  report.images = global_batch();
  report.loss_scale = step_->scaler().scale();
  report.lr = schedule_.lr(steps());
  const int64_t micro_batches = int64_t{options_.schedule.accumulation_steps} * world_.size();
  StepPlace place;
  place.epoch = state_.epoch;
  place.first_micro_batch =
      state_.epoch * source_->batches() * world_.size() + step_in_epoch() * micro_batches;
  place.lr = report.lr;

  const StepResult result = step_->run(stream, place, stopping, give_up);
  if (result.gave_up) return std::nullopt;
  stop_agreed_ = result.stop;
  loss_finite_ = std::isfinite(result.loss);
  report.loss = result.loss;
  report.parts = result.parts;
  report.gradient_norm = result.gradient_norm;
  report.skipped = result.skipped;
  report.bad_samples = result.bad_samples;
  report.data_wait = result.data_wait;
  count_bad(result.bad_samples, result.bad);
  if (result.skipped) {
    ++state_.skipped;
    ++state_.skipped_in_row;
    require(state_.skipped_in_row < kMaxSkipped, ErrorCode::kInvalidArgument, "{}",
            divergence(fmt::format("loss or gradient was not finite in {} steps in a row",
                                   state_.skipped_in_row)));
  } else {
    state_.skipped_in_row = 0;
    if (options_.optimizer.model_ema)
      update_average(*average_, *model_, options_.optimizer.model_ema_decay);
    state_.loss_sum += result.loss;
    ++state_.loss_count;
  }
  state_.images += global_batch();
  report.mean_loss = state_.loss_count ? state_.loss_sum / double(state_.loss_count) : report.loss;
  return report;
}

std::string Trainer::divergence(const std::string& what) const {
  return fmt::format(
      "{} (epoch {}, step {}): the run has diverged. The last state whose loss and weights were "
      "finite, if one was saved, is {}{}; start again with a smaller lr or clip-grad, or a longer "
      "warmup",
      what, state_.epoch + 1, step_in_epoch() + 1, state_path().string(),
      options_.run.amp == Amp::kOff ? "" : ", from which it may go on with --amp off");
}

std::optional<Validation> Trainer::validate_model(Observer& observer,
                                                  const std::atomic<bool>* stop) {
  ValidationOptions options;
  options.device = device_;
  options.precision = precision_;
  options.pictures = options_.run.report_images;
  options.progress = [&](int64_t images) {
    observer.on_validation(std::min(images * world_.size(), validation_->images()),
                           validation_->images());
    return !stop_agreed_ && !(stop && stop->load());
  };
  options.on_bad = [](const std::string& name) {
    log_message(LogLevel::kWarning, "left out of the validation: " + name);
  };
  std::optional<Validation> validation = task_->validate(exported_model(), *validation_, options);
  train_mode();  // which validate() may have put back without the frozen stages'
  require(!validation || validation->bad_samples <= max_bad_validation_, ErrorCode::kBadFormat,
          "{} validation samples could not be read, more than max-bad allows ({}): repair the data "
          "(the warnings name them), or raise --max-bad",
          validation ? validation->bad_samples : 0, max_bad_validation_);
  if (validation && !validation->pictures.empty()) observer.on_pictures(validation->pictures);
  return validation;
}

void Trainer::show_samples(Observer& observer) {
  if (const std::optional<Picture> picture = samples_.take()) observer.on_pictures({*picture});
}

bool Trainer::finish_epoch(Observer& observer, const std::atomic<bool>* stop) {
  EpochSummary summary;
  summary.epoch = state_.epoch;
  summary.train_loss = state_.loss_count ? state_.loss_sum / double(state_.loss_count) : NAN;
  summary.lr = schedule_.lr((state_.epoch + 1) * steps_per_epoch() - 1);
  bool last = state_.epoch + 1 == options_.schedule.epochs;
  const bool good = healthy();
  std::optional<Validation> validation;
  bool best = false;
  int since_best = state_.validations_since_best;
  if (last || (state_.epoch + 1) % options_.run.val_interval == 0) {
    // Before the validation, which may take long.
    require(good || !last, ErrorCode::kInvalidArgument, "{}",
            divergence("the loss or the weights are not finite at the end"));
    validation = validate_model(observer, stop);
    if (!validation) return false;
    summary.metrics = validation->metrics;
    const double main = value_of(validation->metrics, facts().eval_metric);
    best = good && main > state_.best;
    since_best = best ? 0 : since_best + 1;
    last = last || (options_.run.patience > 0 && since_best >= options_.run.patience);
    if (best) {
      state_.best = main;
      state_.best_epoch = state_.epoch;
      save_model("best.safetensors", &*validation);
    }
  }
  require(good || !last, ErrorCode::kInvalidArgument, "{}",
          divergence("the loss or the weights are not finite at the end"));
  if (last) {
    save_model("final.safetensors", validation ? &*validation : nullptr);
    write_pending();
    if (!pending_.empty()) {
      save_state(observer);  // before the end of the epoch, which is then done again
      require_saved("the training is done");
    }
  }
  // A kill between these writes repeats the end of the epoch, with the same result.
  state_.history.push_back(summary);
  state_.epoch += 1;
  state_.images = 0;
  state_.bad_in_epoch = 0;
  state_.validations_since_best = since_best;
  state_.loss_sum = 0;
  state_.loss_count = 0;
  if (writes()) attempt("summary.csv", [&] { files_.write_summary(state_.history); });
  save_state(observer);
  observer.on_epoch(summary, best);
  if (last) require_saved("the training is done");
  return true;
}

Outcome Trainer::run(Observer& observer, const std::atomic<bool>* stop,
                     std::optional<int64_t> max_steps) {
  const auto asked = [&] { return stop && stop->load(); };
  // Several processes know of a wish to stop when they have agreed on it in a step; one need not
  // ask itself.
  const auto stopping = [&] {
    return stop_agreed_ || (world_.size() == 1 && asked()) || (max_steps && steps() >= *max_steps);
  };
  const auto stopped_text = [&] {
    return fmt::format("stopped at epoch {}, step {}", state_.epoch + 1, step_in_epoch());
  };
  auto saved_at = Clock::now();
  train_mode();
  // Of the next epoch: its first batches are made while this one ends and is validated.
  std::optional<data::BatchStream> ahead;
  while (!finished()) {
    data::BatchStream stream =
        ahead
            ? *std::move(ahead)
            : source_->start(state_.epoch, step_in_epoch() * options_.schedule.accumulation_steps);
    ahead.reset();
    while (step_in_epoch() < steps_per_epoch()) {
      if (stopping()) {
        show_samples(observer);
        save_state(observer);
        require_saved(stopped_text());
        return Outcome::kStopped;
      }
      const std::optional<StepReport> report = train_step(stream, stop);
      if (!report) {
        hangs_ = true;
        stream.leave_behind();
        log_message(
            LogLevel::kWarning,
            fmt::format("the data of step {} does not come; it is given up", step_in_epoch() + 1));
        save_state(observer);
        return Outcome::kStopped;
      }
      observer.on_step(*report);
      if (samples_.complete()) show_samples(observer);
      const bool due = options_.run.checkpoint_interval > 0
                           ? steps() % options_.run.checkpoint_interval == 0
                           : Clock::now() - saved_at >= kSaveEvery;
      if (due) {
        save_state(observer);
        saved_at = Clock::now();
      }
    }
    show_samples(observer);  // of an epoch with fewer images than were asked for
    if (state_.epoch + 1 < options_.schedule.epochs)
      ahead.emplace(source_->start(state_.epoch + 1));
    if (!finish_epoch(observer, stop)) {
      save_state(observer);
      require_saved(stopped_text());
      return Outcome::kStopped;
    }
    saved_at = Clock::now();
  }
  return Outcome::kFinished;
}

}  // namespace asmlp::train
