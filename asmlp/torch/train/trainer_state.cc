// The trainer's state: to disk and back, and from process to process.
#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/log.h"
#include "asmlp/schema/fields.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/torch/ops/runtime.h"
#include "asmlp/torch/train/resume_options.h"
#include "asmlp/torch/train/trainer.h"

namespace asmlp::train {
namespace {

namespace fs = std::filesystem;

// Rank 0's text to everyone, by way of the memory of `device`, where the processes meet.
void broadcast_text(dist::World& world, const torch::Device& device, std::string& text) {
  const auto length = torch::tensor({static_cast<int64_t>(text.size())}, torch::kInt64).to(device);
  world.broadcast({length});
  text.resize(static_cast<size_t>(length.item<int64_t>()));
  if (text.empty()) return;
  const auto bytes =
      torch::from_blob(text.data(), {static_cast<int64_t>(text.size())}, torch::kUInt8);
  const torch::Tensor sent = bytes.to(device);
  world.broadcast({sent});
  bytes.copy_(sent);
}

}  // namespace

std::vector<std::pair<std::string, torch::Tensor>> Trainer::live_tensors() {
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
  for (const OptimizerSlot& slot : step_->optimizer().slots()) {
    tensors.emplace_back("model." + slot.name, slot.parameter.detach());
    for (const Moment& moment : slot.moments) {
      tensors.emplace_back("optimizer." + moment.kind + "." + slot.name, moment.values);
    }
  }
  for (const auto& item : model_->named_buffers()) {
    tensors.emplace_back("model." + item.key(), item.value());
  }
  if (options_.optimizer.model_ema) {
    for (const auto& item : average_->named_parameters()) {
      tensors.emplace_back("ema." + item.key(), item.value().detach());
    }
    for (const auto& item : average_->named_buffers()) {
      tensors.emplace_back("ema." + item.key(), item.value());
    }
  }
  return tensors;
}

// Rank 0's tensors and numbers to everyone.
void Trainer::share_state() {
  std::map<torch::ScalarType, std::vector<torch::Tensor>> tensors;
  for (auto& [name, tensor] : live_tensors()) tensors[tensor.scalar_type()].push_back(tensor);
  for (const auto& [type, of_type] : tensors) world_.broadcast(of_type);
  std::string numbers = numbers_to_json(state_);
  broadcast_text(world_, device_, numbers);
  numbers_from_json(numbers, state_);
}

// Rank 0's schedule to everyone, after it has looked into the saved run's.
void Trainer::share_schedule() {
  std::string text = fields_to_json(options_.schedule).dump();
  broadcast_text(world_, device_, text);
  read_json(nlohmann::json::parse(text), options_.schedule, "schedule");
  plan();
}

std::vector<std::string> Trainer::load_initial_weights() {
  if (options_.model.initial_checkpoint.empty()) return {};
  std::vector<std::string> notes;
  if (writes()) {
    notes = task_->load_initial_weights(*model_, options_.model.initial_checkpoint);
  }
  if (options_.optimizer.model_ema) update_average(*average_, *model_, 0.0);
  share_state();
  return notes;
}

void Trainer::restore(const RunState& saved, const TensorMap& tensors, const std::string& file) {
  require(saved.train_images == state_.train_images, ErrorCode::kMismatch,
          "{}: the run was started with {} training images, {} has {}", file, saved.train_images,
          options_.model.data, state_.train_images);
  require(saved.model == state_.model, ErrorCode::kMismatch,
          "{}: the run was started with another model", file);
  for (auto& [name, target] : live_tensors()) {
    const auto found = tensors.find(name);
    require(found != tensors.end(), ErrorCode::kMismatch, "{}: tensor {} is missing", file, name);
    const Tensor& source = found->second;
    const Tensor expected = nn::view_of(target, name);
    require(source.dtype == expected.dtype && source.shape == expected.shape, ErrorCode::kMismatch,
            "{}: tensor {} is {} {}, expected {} {}", file, name, to_string(source.dtype),
            to_string(source.shape), to_string(expected.dtype), to_string(expected.shape));
    target.copy_(torch::from_blob(const_cast<std::byte*>(source.bytes.data()), target.sizes(),
                                  target.scalar_type()));
  }
  numbers_from_json(numbers_to_json(saved), state_);
  state_.history = saved.history;
  written_best_ = saved.best;
  written_best_epoch_ = saved.best_epoch;
  // What made the weights is the command that started the run, with its recipe and seed.
  if (!saved.command.empty()) state_.command = saved.command;
}

void Trainer::resume(const fs::path& path, Continuation how) {
  int threads = state_.threads;
  std::vector<std::string> changes;
  if (writes()) {
    TensorMap tensors;
    RunState saved = read_state(path, &tensors);
    if (!saved.checked) {
      log_message(LogLevel::kInfo,
                  fmt::format("{}: written by an earlier version, without a checksum: damage to it "
                              "would not be noticed",
                              path.string()));
    }
    adopt_former_defaults(saved.options, options_);
    if (how == Continuation::kLonger) {
      const int planned = std::exchange(saved.options.schedule.epochs, options_.schedule.epochs);
      require(options_.schedule.epochs > planned, ErrorCode::kInvalidArgument,
              "{}: the run has {} epochs; a longer one needs more than {}", path.string(), planned,
              options_.schedule.epochs);
      saved.validations_since_best = 0;
    }
    changes = check_resumable(saved.options, options_);
    restore(saved, tensors, path.string());
  }
  share_schedule();
  resumed_from_ = path;
  share_state();  // with the saved run's processes and threads
  if (state_.world != world_.size()) {
    changes.push_back(
        fmt::format("the processes were {} and are now {}", state_.world, world_.size()));
  } else if (options_.run.threads == 0) {
    threads = nn::configure_runtime(state_.threads);
  }
  if (state_.threads != threads) {
    changes.push_back(fmt::format("threads was {} and is now {}", state_.threads, threads));
  }
  state_.threads = threads;
  state_.world = world_.size();
  // With another global batch the position may lie inside a step: that step is done again.
  state_.images = std::min(step_in_epoch(), steps_per_epoch()) * global_batch();
  step_->optimizer().set_updates(state_.updates);
  step_->scaler().restore(state_.loss_scale, state_.loss_scale_age);
  if (!writes()) return;
  for (const std::string& change : changes) {
    log_message(LogLevel::kWarning,
                fmt::format("{}: {}; the run goes on, but its weights will differ in the last bits "
                            "or more from an uninterrupted run",
                            path.string(), change));
  }
  attempt("summary.csv", [&] { files_.write_summary(state_.history); });
}

bool Trainer::resume_automatically(Continuation how) {
  std::string chosen;
  if (writes()) {
    std::optional<Error> damage;
    for (const fs::path& path : {files_.last(), files_.previous()}) {
      if (!fs::exists(path)) continue;
      try {
        read_state(path, nullptr);
        chosen = path.string();
        break;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kBadFormat) throw;
        damage = error;
      }
    }
    if (damage && chosen.empty()) throw *damage;
    if (damage) {
      // Out of the way, so that it does not become previous.safetensors.
      fs::path aside = files_.last();
      aside += ".damaged";
      fs::rename(files_.last(), aside);
      log_message(LogLevel::kWarning, fmt::format("{}; now called {}, continuing from {}",
                                                  damage->what(), aside.string(), chosen));
    }
  }
  broadcast_text(world_, device_, chosen);
  if (chosen.empty()) return false;
  resume(chosen, how);
  return true;
}

// The loss was finite and everything that would be saved is: a state worth going back to.
bool Trainer::healthy() {
  if (!loss_finite_) return false;
  for (const auto& [name, tensor] : live_tensors()) {
    if (tensor.is_floating_point() && !torch::isfinite(tensor).all().item<bool>()) return false;
  }
  return true;
}

void Trainer::save_state(Observer& observer) {
  if (!writes()) return;
  if (!healthy()) {
    log_message(LogLevel::kWarning,
                fmt::format("epoch {}, step {}: the loss or the weights are not finite; {} is not "
                            "replaced by this state",
                            state_.epoch + 1, step_in_epoch(), state_path().string()));
    return;
  }
  state_.updates = step_->optimizer().updates();
  state_.loss_scale = step_->scaler().scale();
  state_.loss_scale_age = step_->scaler().good_steps();
  TensorMap tensors;
  for (const auto& [name, tensor] : live_tensors()) tensors[name] = nn::view_of(tensor, name);
  write_pending();
  RunState saved = state_;
  if (pending_.contains("best.safetensors")) {  // of this state's best epoch, but not on disk
    saved.best = written_best_;
    saved.best_epoch = written_best_epoch_;
  }
  if (attempt("last.safetensors", [&] { files_.write(saved, tensors); })) {
    observer.on_saved(state_path());
  }
}

}  // namespace asmlp::train
