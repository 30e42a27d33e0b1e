#include "asmlp/engine/engine.h"

#include "asmlp/core/error.h"
#include "asmlp/core/log.h"
#include "asmlp/engine/forward.h"
#include "asmlp/engine/packed_weights.h"
#include "asmlp/engine/plan.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/quantized.h"

namespace asmlp {

PackedModel::PackedModel(ModelSpec spec, const PackOptions& options)
    : spec_(std::move(spec)), options_(options) {
  options_.isa = usable_isa(options.isa);
}
PackedModel::~PackedModel() = default;

std::shared_ptr<const PackedModel> PackedModel::create(ModelSpec spec, const TensorMap& tensors,
                                                       const PackOptions& options) {
  validate(spec);
  const std::string what = spec.name.empty() ? "model" : spec.name;
  check_parameters(spec.config, tensors, what);
  PackOptions usable = options;
  usable.precision = usable_precision(options.precision, tensors, what);
  std::shared_ptr<PackedModel> model(new PackedModel(std::move(spec), usable));
  model->weights_ = std::make_unique<const PackedWeights>(
      kernel_set(model->isa(), model->precision()), model->spec_.config, tensors);
  log_message(LogLevel::kDebug, fmt::format("kernels: {}, {}", to_string(model->isa()),
                                            to_string(model->precision())));
  return model;
}

namespace {

EngineOptions with_defaults(EngineOptions options, const PackedModel& model) {
  if (options.height == 0) options.height = model.spec().preprocessing.size;
  if (options.width == 0) options.width = model.spec().preprocessing.size;
  return options;
}

}  // namespace

Engine::Engine(std::shared_ptr<const PackedModel> model, const EngineOptions& options)
    : model_(std::move(model)),
      options_(with_defaults(options, *model_)),
      pool_(std::make_unique<ThreadPool>(options_.threads)),
      plan_(std::make_unique<Plan>(*model_->weights().kernels, model_->config(), model_->weights(),
                                   options_, *pool_)) {
  plan_->allocate();
}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

int Engine::threads() const { return plan_->pool.size(); }

std::span<const ProfileEntry> Engine::profile() const { return plan_->profile; }

void Engine::reset_profile() {
  for (ProfileEntry& entry : plan_->profile) entry.seconds = 0, entry.multiply_adds = 0;
}

void Engine::observe(ProductObserver* observer) {
  require(model_->precision() == Precision::kFp32, ErrorCode::kUnsupported,
          "what products read can be observed in fp32 only, this model is in {}",
          to_string(model_->precision()));
  plan_->observer = observer;
}

void Engine::run(std::span<const float> input, int batch) {
  const Config& config = model_->config();
  require(batch >= 1 && batch <= options_.max_batch, ErrorCode::kInvalidArgument,
          "batch is {}, the engine was made for 1 to {}", batch, options_.max_batch);
  const int64_t expected = int64_t{batch} * config.in_chans * options_.height * options_.width;
  require(static_cast<int64_t>(input.size()) == expected, ErrorCode::kInvalidArgument,
          "the input has {} values, a batch of {} needs {} x {} x {} x {} = {}", input.size(),
          batch, batch, config.in_chans, options_.height, options_.width, expected);
  const ThreadPool::Share share;
  forward(config, model_->weights(), &model_->weights(), options_, input.data(), batch, *plan_);
}

std::span<const float> Engine::logits() const {
  return {plan_->logits, static_cast<size_t>(plan_->batch) * model_->config().num_classes};
}

std::span<const float> Engine::pooled() const {
  return {plan_->pooled, static_cast<size_t>(plan_->batch) * model_->config().num_features()};
}

std::span<const float> Engine::final_map() const {
  const StagePlan& last = plan_->stages.back();
  return {plan_->final_map, static_cast<size_t>(plan_->batch * last.pixels() * last.channels)};
}

MapSize Engine::final_map_size() const { return plan_->stages.back().size; }

int Engine::num_features() const { return static_cast<int>(plan_->features.size()); }

const StagePlan& Engine::feature_stage(int k) const {
  require(k >= 0 && k < num_features(), ErrorCode::kInvalidArgument,
          "feature {} does not exist: the engine keeps {} (EngineOptions::features)", k,
          num_features());
  return plan_->stages[std::min<size_t>(k, plan_->stages.size() - 1)];
}

Shape Engine::feature_shape(int k) const {
  const StagePlan& stage = feature_stage(k);
  return {plan_->batch, stage.channels, stage.size.h, stage.size.w};
}

void Engine::copy_feature(int k, std::span<float> out) const {
  const StagePlan& stage = feature_stage(k);
  const int64_t channels = stage.channels, pixels = stage.pixels();
  require(static_cast<int64_t>(out.size()) == plan_->batch * channels * pixels,
          ErrorCode::kInvalidArgument, "feature {} has {} x {} x {} x {} values, the buffer {}", k,
          plan_->batch, channels, stage.size.h, stage.size.w, out.size());
  const float* source = plan_->features[k];
  for (int64_t image = 0; image < plan_->batch; ++image) {
    for (int64_t p = 0; p < pixels; ++p, source += channels) {
      for (int64_t c = 0; c < channels; ++c) out[(image * channels + c) * pixels + p] = source[c];
    }
  }
}

}  // namespace asmlp
