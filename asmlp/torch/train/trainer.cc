#include "asmlp/torch/train/trainer.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/core/log.h"
#include "asmlp/torch/data/transforms.h"
#include "asmlp/torch/nn/runtime.h"
#include "asmlp/weights/checkpoint.h"

namespace asmlp::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// How much work a kill may cost.
constexpr std::chrono::seconds kSaveEvery{60};

Tensor view_of(const torch::Tensor& tensor) {
  const torch::Tensor data = tensor.detach();
  return {DType::kF32, Shape(data.sizes().begin(), data.sizes().end()),
          std::as_bytes(std::span(data.data_ptr<float>(), static_cast<size_t>(data.numel()))),
          std::make_shared<torch::Tensor>(data)};
}

// A kill in the middle of a write leaves the half-written temporary file (atomic_file.h) behind.
void remove_leftovers(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    for (const char* mine : {"last.safetensors", "best.safetensors", "final.safetensors"}) {
      if (name.starts_with(std::string(mine) + ".tmp.")) fs::remove(entry.path(), ignored);
    }
  }
}

}  // namespace

Trainer::Trainer(TrainOptions options, const Dataset& training, const Dataset& validation,
                 fs::path folder, const std::string& tag, std::map<std::string, std::string> origin)
    : options_(std::move(options)), folder_(std::move(folder)), origin_(std::move(origin)) {
  validate(options_);
  require(training.classes() == validation.classes(), ErrorCode::kMismatch,
          "{}: the training and the validation split have different classes", options_.data);
  const int classes = static_cast<int>(training.classes().size());
  state_.spec = resolve_model(options_, classes);
  ModelSpec& spec = state_.spec;
  spec.name = spec.name.substr(0, spec.name.find('.')) + "." + tag;
  require(spec.config.num_classes >= classes, ErrorCode::kInvalidArgument,
          "num-classes {}: the data set has {} classes", spec.config.num_classes, classes);
  if (spec.config.num_classes == classes) spec.classes = training.classes();
  state_.options = options_;
  if (const auto command = origin_.find("command"); command != origin_.end()) {
    state_.command = command->second;
  }
  state_.train_images = training.size();
  state_.threads = nn::configure_runtime(options_.threads);

  data::LoaderOptions loading;
  loading.batch_size = options_.batch_size;
  loading.workers = options_.workers;
  loading.shuffle = loading.drop_last = true;
  loading.seed = options_.seed;
  loading.channels = spec.config.in_chans;
  loading.height = loading.width = spec.preprocessing.size;
  loader_.emplace(
      training,
      [preprocessing = spec.preprocessing, augmentation = options_.augmentation()](
          const Sample& sample, data::Random& random, std::span<float> out) {
        data::transform_for_training(sample.image, preprocessing, augmentation, random, out);
      },
      loading);
  validation_loader_.emplace(
      evaluation_loader(validation, spec.preprocessing, options_.batch_size, options_.workers));

  schedule_.peak = options_.peak_lr();
  schedule_.first = options_.first_lr();
  schedule_.last = options_.last_lr();
  schedule_.warmup_steps = std::llround(options_.warmup_epochs * double(loader_->batches()));
  schedule_.total_steps = options_.epochs * loader_->batches();

  torch::manual_seed(data::derive_seed(options_.seed, {data::kSeedInit}));
  model_ = nn::AsMlp(spec.config);
  optimizer_.emplace(*model_, options_.weight_decay, options_.opt_betas, options_.opt_eps);
  if (options_.model_ema) {
    average_ = nn::AsMlp(spec.config);
    for (torch::Tensor& p : average_->parameters()) p.set_requires_grad(false);
    update_average(*average_, *model_, 0.0);
  }
  std::error_code error;
  fs::create_directories(folder_, error);
  require(!error, ErrorCode::kIo, "{}: cannot create the folder: {}", folder_.string(),
          error.message());
}

TensorMap Trainer::state_tensors() {
  TensorMap tensors;
  for (const AdamWSlot& slot : optimizer_->slots()) {
    tensors["model." + slot.name] = view_of(slot.parameter);
    tensors["optimizer.m." + slot.name] = view_of(slot.m);
    tensors["optimizer.v." + slot.name] = view_of(slot.v);
  }
  if (options_.model_ema) {
    for (const auto& item : average_->named_parameters()) {
      tensors["ema." + item.key()] = view_of(item.value());
    }
  }
  return tensors;
}

void Trainer::resume(const fs::path& path) {
  TensorMap saved;
  RunState state = read_state(path, &saved);
  check_resumable(state.options, options_);
  require(state.train_images == state_.train_images, ErrorCode::kMismatch,
          "{}: the run was started with {} training images, {} has {}", path.string(),
          state.train_images, options_.data, state_.train_images);
  require(state.spec.config == state_.spec.config &&
              state.spec.preprocessing == state_.spec.preprocessing,
          ErrorCode::kMismatch, "{}: the run was started with another model", path.string());
  // Copy into the live tensors by name; afterwards every one must have been found.
  const TensorMap live = state_tensors();
  for (const auto& [name, target] : live) {
    const auto found = saved.find(name);
    require(found != saved.end(), ErrorCode::kMismatch, "{}: tensor {} is missing", path.string(),
            name);
    const Tensor& source = found->second;
    require(source.dtype == DType::kF32 && source.shape == target.shape, ErrorCode::kMismatch,
            "{}: tensor {} is {} {}, expected F32 {}", path.string(), name, to_string(source.dtype),
            to_string(source.shape), to_string(target.shape));
    std::memcpy(const_cast<std::byte*>(target.bytes.data()), source.bytes.data(),
                source.bytes.size());
  }
  if (options_.threads == 0) {
    state_.threads = nn::configure_runtime(state.threads);
  } else if (state_.threads != state.threads) {
    log_message(LogLevel::kWarning,
                fmt::format("the run was started with {} threads and continues with {}: the "
                            "weights may differ in the last bits from an uninterrupted run",
                            state.threads, state_.threads));
  }
  // What made the weights is the command that started the run, with its recipe and seed.
  if (state.command.empty()) state.command = state_.command;
  if (!state.command.empty()) origin_["command"] = state.command;
  state.threads = state_.threads;
  state.options = options_;
  state.spec = state_.spec;
  state_ = std::move(state);
  optimizer_->set_updates(state_.updates);
  remove_leftovers(folder_);
  write_summary(folder_ / "summary.csv", state_.history);
}

void Trainer::save_state(Observer& observer) {
  state_.updates = optimizer_->updates();
  write_state(state_path(), state_, state_tensors());
  observer.on_saved(state_path());
}

void Trainer::save_model(const char* name, const Evaluation* evaluation) {
  Checkpoint checkpoint{state_.spec, nn::export_parameters(*exported_model())};
  auto& origin = checkpoint.spec.origin;
  origin.insert(origin_.begin(), origin_.end());
  origin["epochs"] = fmt::format("{} of {}", state_.epoch + 1, options_.epochs);
  origin["seed"] = std::to_string(options_.seed);
  origin["weights"] = options_.model_ema ? "exponential moving average" : "last step";
  if (evaluation) origin["validation_top1"] = fmt::format("{:.3f}", evaluation->top1);
  save_checkpoint(folder_ / name, checkpoint);
}

StepReport Trainer::train_step(const data::Batch& batch) {
  const int64_t step = state_.epoch * loader_->batches() + batch.index;
  // Drop path draws from LibTorch's generator: seeding it per step makes a resumed run draw the
  // same.
  torch::manual_seed(data::derive_seed(options_.seed, {data::kSeedStep, uint64_t(step)}));
  const torch::Tensor logits = model_->forward(batch.images);
  const torch::Tensor loss = torch::nn::functional::cross_entropy(
      logits, batch.targets,
      torch::nn::functional::CrossEntropyFuncOptions().label_smoothing(options_.smoothing));
  loss.backward();

  StepReport report;
  report.epoch = state_.epoch;
  report.batch = batch.index;
  report.batches = loader_->batches();
  report.epochs = options_.epochs;
  report.loss = loss.item<double>();
  report.gradient_norm = optimizer_->gradient_norm();
  report.lr = schedule_.lr(step);
  report.skipped = !std::isfinite(report.loss) || !std::isfinite(report.gradient_norm);
  if (report.skipped) {
    optimizer_->zero_grad();
    ++state_.skipped;
    ++state_.skipped_in_row;
    require(state_.skipped_in_row < kMaxSkipped, ErrorCode::kInvalidArgument,
            "loss or gradient was not finite in {} steps in a row (epoch {}, step {}): the run has "
            "diverged; start again with a smaller lr or clip-grad, or a longer warmup",
            state_.skipped_in_row, state_.epoch, step);
  } else {
    state_.skipped_in_row = 0;
    const bool clip = options_.clip_grad > 0 && report.gradient_norm > options_.clip_grad;
    optimizer_->step(report.lr, clip ? options_.clip_grad / report.gradient_norm : 1.0);
    if (options_.model_ema) update_average(*average_, *model_, options_.model_ema_decay);
    state_.loss_sum += report.loss;
    ++state_.loss_count;
  }
  report.mean_loss = state_.loss_count ? state_.loss_sum / double(state_.loss_count) : report.loss;
  return report;
}

bool Trainer::finish_epoch(Observer& observer, const std::atomic<bool>* stop) {
  EpochSummary summary;
  summary.epoch = state_.epoch;
  summary.train_loss = state_.loss_count ? state_.loss_sum / double(state_.loss_count) : NAN;
  summary.lr = schedule_.lr((state_.epoch + 1) * loader_->batches() - 1);
  const bool last = state_.epoch + 1 == options_.epochs;
  std::optional<Evaluation> evaluation;
  bool best = false;
  if (last || (state_.epoch + 1) % options_.val_interval == 0) {
    evaluation = evaluate(exported_model(), *validation_loader_, [&](int64_t images) {
      observer.on_validation(images, validation_loader_->images());
      return !(stop && stop->load());
    });
    if (!evaluation) return false;
    summary.validated = true;
    summary.eval_loss = evaluation->loss;
    summary.eval_top1 = evaluation->top1;
    summary.eval_top5 = evaluation->top5;
    best = evaluation->top1 > state_.best_top1;
    if (best) {
      state_.best_top1 = evaluation->top1;
      state_.best_epoch = state_.epoch;
      save_model("best.safetensors", &*evaluation);
    }
  }
  if (last) save_model("final.safetensors", evaluation ? &*evaluation : nullptr);
  // A kill between these writes repeats the end of the epoch, with the same result.
  state_.history.push_back(summary);
  state_.epoch += 1;
  state_.batch = 0;
  state_.loss_sum = 0;
  state_.loss_count = 0;
  write_summary(folder_ / "summary.csv", state_.history);
  save_state(observer);
  observer.on_epoch(summary, best);
  return true;
}

Outcome Trainer::run(Observer& observer, const std::atomic<bool>* stop,
                     std::optional<int64_t> max_steps) {
  const auto stopping = [&] {
    const int64_t steps = state_.epoch * loader_->batches() + state_.batch;
    return (stop && stop->load()) || (max_steps && steps >= *max_steps);
  };
  auto saved_at = Clock::now();
  model_->train();
  while (state_.epoch < options_.epochs) {
    data::BatchStream stream = loader_->start(state_.epoch, state_.batch);
    while (state_.batch < loader_->batches()) {
      if (stopping()) {
        save_state(observer);
        return Outcome::kStopped;
      }
      const StepReport report = train_step(*stream.next());
      ++state_.batch;
      observer.on_step(report);
      const bool due =
          options_.checkpoint_interval > 0
              ? (state_.epoch * loader_->batches() + state_.batch) % options_.checkpoint_interval ==
                    0
              : Clock::now() - saved_at >= kSaveEvery;
      if (due) {
        save_state(observer);
        saved_at = Clock::now();
      }
    }
    if (!finish_epoch(observer, stop)) {
      save_state(observer);
      return Outcome::kStopped;
    }
    saved_at = Clock::now();
  }
  return Outcome::kFinished;
}

}  // namespace asmlp::train
