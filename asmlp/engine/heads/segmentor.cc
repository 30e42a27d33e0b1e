#include "asmlp/engine/heads/segmentor.h"

#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/engine/heads/heads_state.h"
#include "asmlp/engine/heads/segmentor_forward.h"
#include "asmlp/weights/dense_file.h"
#include "asmlp/weights/quantized.h"

namespace asmlp {

PackedSegmentor::PackedSegmentor(SegmentorSpec spec, const PackOptions& options)
    : spec_(std::move(spec)), options_(options) {
  options_.isa = usable_isa(options.isa);
}
PackedSegmentor::~PackedSegmentor() = default;

std::shared_ptr<const PackedSegmentor> PackedSegmentor::create(SegmentorSpec spec,
                                                               const TensorMap& tensors,
                                                               const PackOptions& options) {
  validate(spec);
  const std::string what = spec.name.empty() ? "segmentor" : spec.name;
  PackOptions usable = options;
  usable.precision = usable_precision(options.precision, tensors, what);
  check_network(tensors, spec.config, what);
  std::shared_ptr<PackedSegmentor> model(new PackedSegmentor(std::move(spec), usable));
  model->weights_ = std::make_unique<const SegmentorWeights>(
      kernel_set(model->isa(), model->precision()), model->config(), tensors);
  return model;
}

struct SegmentorEngine::State : HeadsState<SegmentorPlan> {
  explicit State(const SegmentorOptions& options)
      : HeadsState(options.threads), with_profile(options.profile) {}
  bool with_profile;
};

SegmentorEngine::SegmentorEngine(std::shared_ptr<const PackedSegmentor> model,
                                 const SegmentorOptions& options)
    : model_(std::move(model)), state_(std::make_unique<State>(options)) {}
SegmentorEngine::~SegmentorEngine() = default;
SegmentorEngine::SegmentorEngine(SegmentorEngine&&) noexcept = default;
SegmentorEngine& SegmentorEngine::operator=(SegmentorEngine&&) noexcept = default;

int SegmentorEngine::threads() const { return state_->pool.size(); }

std::vector<ProfileEntry> SegmentorEngine::profile() const { return state_->profile; }
void SegmentorEngine::reset_profile() { state_->profile.clear(); }

segment::LogitView SegmentorEngine::logits(std::span<const float> input, int height, int width) {
  const int64_t channels = model_->config().backbone.in_chans;
  require(std::ssize(input) == channels * height * width, ErrorCode::kInvalidArgument,
          "the input has {} values, must be {} x {} x {}", input.size(), channels, height, width);
  const ThreadPool::Share share;
  SegmentorPlan& plan = state_->plans.get(height, width, 1, state_->memory, [&] {
    const EngineOptions options{.height = height, .width = width, .profile = state_->with_profile};
    return std::make_unique<SegmentorPlan>(model_->config(), model_->weights(), options,
                                           state_->pool, state_->memory);
  });
  plan.plan.observer = state_->observer;
  SegmentorForward(model_->config(), model_->weights(), plan).run(input.data());
  state_->collect(plan.plan);
  const HeadMap& map = plan.logits;
  return {map.data, map.h, map.w, map.channels, map.stride};
}

void SegmentorEngine::observe(ProductObserver* observer) {
  state_->observe_with(observer, model_->precision());
}

Image SegmentorEngine::segment(const Image& image, const DenseInput& input,
                               const segment::PredictOptions& options) {
  validate(input, model_->config().backbone.in_chans);
  return segment::predict(
      image, input, model_->config().num_classes,
      [this](std::span<const float> values, int height, int width) {
        return logits(values, height, width);
      },
      options,
      [this](int64_t tasks, const std::function<void(int64_t)>& body) {
        state_->pool.run(static_cast<int>(tasks), [&](int task, int) { body(task); });
      });
}

Image SegmentorEngine::segment(const Image& image, const segment::PredictOptions& options) {
  return segment(image, model_->spec().preprocessing, options);
}

}  // namespace asmlp
