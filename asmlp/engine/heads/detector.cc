#include "asmlp/engine/heads/detector.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/engine/heads/detector_forward.h"
#include "asmlp/engine/heads/heads_state.h"
#include "asmlp/image/opencv/dense_input.h"
#include "asmlp/weights/dense_file.h"
#include "asmlp/weights/quantized.h"

namespace asmlp {

using detect::Detection, detect::InputSizes;

PackedDetector::PackedDetector(DetectorSpec spec, const PackOptions& options)
    : spec_(std::move(spec)), options_(options) {
  options_.isa = usable_isa(options.isa);
}
PackedDetector::~PackedDetector() = default;

std::shared_ptr<const PackedDetector> PackedDetector::create(DetectorSpec spec,
                                                             const TensorMap& tensors,
                                                             const PackOptions& options) {
  validate(spec);
  const std::string what = spec.name.empty() ? "detector" : spec.name;
  PackOptions usable = options;
  usable.precision = usable_precision(options.precision, tensors, what);
  check_network(tensors, spec.config, what);
  std::shared_ptr<PackedDetector> model(new PackedDetector(std::move(spec), usable));
  model->weights_ = std::make_unique<const DetectorWeights>(
      kernel_set(model->isa(), model->precision()), model->config(), tensors);
  return model;
}

namespace {

// The model's config with what the options say otherwise.
DetectorConfig config_for(DetectorConfig config, const DetectorOptions& options) {
  if (options.test) config.test = *options.test;
  validate(config);
  if (!options.masks) {
    config.kind = is_cascade(config.kind) ? DetectorKind::kCascadeRcnn : DetectorKind::kFasterRcnn;
  }
  return config;
}

}  // namespace

struct DetectorEngine::State : HeadsState<DetectorPlan> {
  State(const DetectorConfig& config, const DetectorOptions& options)
      : HeadsState(options.threads),
        config(config_for(config, options)),
        options(options),
        regions(pool.size()) {}
  DetectorConfig config;
  DetectorOptions options;
  RegionMemory regions;
  const DetectorPlan* last = nullptr;  // that has run
  int last_batch = 0;
  std::vector<float> input;
  std::vector<InputSizes> sizes;

  DetectorPlan& plan_for(const PackedDetector& model, int height, int width, int batch) {
    DetectorPlan& plan = plans.get(height, width, batch, memory, [&] {
      const EngineOptions engine{.height = height,
                                 .width = width,
                                 .max_batch = options.max_batch,
                                 .profile = options.profile};
      auto made = std::make_unique<DetectorPlan>(config, model.weights(), engine, pool, memory);
      regions.reserve(config, *made);
      return made;
    });
    plan.plan.observer = observer;
    return plan;
  }
};

DetectorEngine::DetectorEngine(std::shared_ptr<const PackedDetector> model,
                               const DetectorOptions& options)
    : model_(std::move(model)) {
  require(options.max_batch >= 1 && options.max_batch <= 4096, ErrorCode::kInvalidArgument,
          "max_batch is {}, must be between 1 and 4096", options.max_batch);
  state_ = std::make_unique<State>(model_->config(), options);
}
DetectorEngine::~DetectorEngine() = default;
DetectorEngine::DetectorEngine(DetectorEngine&&) noexcept = default;
DetectorEngine& DetectorEngine::operator=(DetectorEngine&&) noexcept = default;

int DetectorEngine::threads() const { return state_->pool.size(); }

std::vector<ProfileEntry> DetectorEngine::profile() const { return state_->profile; }
void DetectorEngine::reset_profile() { state_->profile.clear(); }

std::vector<std::vector<Detection>> DetectorEngine::run(std::span<const float> input, int height,
                                                        int width,
                                                        std::span<const InputSizes> sizes) {
  const auto batch = static_cast<int>(sizes.size());
  require(batch >= 1 && batch <= state_->options.max_batch, ErrorCode::kInvalidArgument,
          "batch is {}, the engine was made for 1 to {}", batch, state_->options.max_batch);
  const int64_t channels = model_->config().backbone.in_chans;
  require(std::ssize(input) == batch * channels * height * width, ErrorCode::kInvalidArgument,
          "the input has {} values, a batch of {} needs {} x {} x {} x {}", input.size(), batch,
          batch, channels, height, width);
  for (const InputSizes& size : sizes) {
    require(size.resized.height >= 1 && size.resized.height <= height && size.resized.width >= 1 &&
                size.resized.width <= width && size.original.height >= 1 &&
                size.original.width >= 1 && size.original.height <= kMaxMaskSide &&
                size.original.width <= kMaxMaskSide,
            ErrorCode::kInvalidArgument,
            "an image of {} x {} pixels, resized to {} x {}, in an input of {} x {}: must be "
            "positive, within the input, and at most {}",
            size.original.height, size.original.width, size.resized.height, size.resized.width,
            height, width, kMaxMaskSide);
  }
  const ThreadPool::Share share;
  DetectorPlan& plan = state_->plan_for(*model_, height, width, batch);
  state_->last = nullptr;
  auto found = DetectorForward(state_->config, model_->weights(), plan, state_->regions)
                   .run(input.data(), sizes);
  state_->collect(plan.plan);
  state_->last = &plan;
  state_->last_batch = batch;
  return found;
}

DetectorEngine::RegionOutputs DetectorEngine::describe_regions(std::span<const float> input,
                                                               int height, int width,
                                                               std::span<const detect::Box> boxes) {
  const DetectorConfig& config = state_->config;
  require(height >= 1 && width >= 1 &&
              std::ssize(input) == int64_t{config.backbone.in_chans} * height * width,
          ErrorCode::kInvalidArgument, "the input has {} values, must be {} x {} x {}",
          input.size(), config.backbone.in_chans, height, width);
  const ThreadPool::Share share;
  DetectorPlan& plan = state_->plan_for(*model_, height, width, 1);
  state_->last = nullptr;
  const InputSizes size{{height, width}, {height, width}};
  RegionMemory& memory = state_->regions;
  DetectorForward(config, model_->weights(), plan, memory).describe(input.data(), size, boxes);
  state_->collect(plan.plan);
  state_->last = &plan;
  state_->last_batch = 1;
  RegionOutputs outputs;
  const int64_t stride = boxes.empty() ? 0 : std::ssize(memory.outputs) / std::ssize(boxes);
  for (int64_t r = 0; r < std::ssize(boxes); ++r) {
    const auto row = memory.outputs.begin() + r * stride;
    const int64_t scores = config.num_classes + 1;
    outputs.probabilities.insert(outputs.probabilities.end(), row, row + scores);
    outputs.deltas.insert(outputs.deltas.end(), row + scores,
                          row + scores + 4 * config.num_classes);
  }
  outputs.masks = memory.masks;
  return outputs;
}

void DetectorEngine::observe(ProductObserver* observer) {
  state_->observe_with(observer, model_->precision());
}

namespace {

// Columns [first, first + channels) of the first `images` images of a map.
NetworkMap copy_of(const std::string& name, const HeadMap& map, int images, int64_t first,
                   int64_t channels) {
  const int64_t pixels = int64_t{map.h} * map.w;
  NetworkMap copy{name, {images, channels, map.h, map.w}, {}};
  copy.values.resize(images * channels * pixels);
  for (int64_t r = 0; r < images * pixels; ++r) {
    for (int64_t c = 0; c < channels; ++c) {
      copy.values[(r / pixels * channels + c) * pixels + r % pixels] = map.row(r)[first + c];
    }
  }
  return copy;
}

}  // namespace

std::vector<NetworkMap> DetectorEngine::maps() const {
  std::vector<NetworkMap> all;
  if (state_->last == nullptr) return all;
  const DetectorPlan& plan = *state_->last;
  const int images = state_->last_batch;
  const auto anchors = std::ssize(model_->config().rpn.anchors.ratios);
  for (size_t k = 0; k < plan.pyramid.size(); ++k) {
    const HeadMap &map = plan.pyramid[k], &rpn = plan.rpn[k];
    all.push_back(copy_of(fmt::format("pyramid.{}", k), map, images, 0, map.channels));
    all.push_back(copy_of(fmt::format("rpn.logits.{}", k), rpn, images, 0, anchors));
    all.push_back(copy_of(fmt::format("rpn.deltas.{}", k), rpn, images, anchors, 4 * anchors));
  }
  return all;
}

std::vector<std::vector<Detection>> DetectorEngine::detect(std::span<const Image> images,
                                                           const DenseInput& input) {
  validate(input, model_->config().backbone.in_chans);
  std::vector<std::vector<Detection>> all;
  CvSize batch_size;
  const auto flush = [&] {
    if (state_->sizes.empty()) return;
    for (auto& found : run(state_->input, batch_size.height, batch_size.width, state_->sizes)) {
      all.push_back(std::move(found));
    }
    state_->sizes.clear();
    state_->input.clear();
  };
  state_->sizes.clear();  // what a call that threw has left
  state_->input.clear();
  for (const Image& image : images) {
    const CvSize size = fitted_size(image.height, image.width, input.short_side, input.long_side);
    const CvSize padded = padded_size(size, input);
    if (padded != batch_size || std::ssize(state_->sizes) == state_->options.max_batch) flush();
    batch_size = padded;
    const int64_t values = int64_t{image.channels} * padded.height * padded.width;
    state_->input.resize(state_->input.size() + values);
    normalize_into(resize_bilinear(image, size), input, padded.height, padded.width,
                   std::span(state_->input).last(values));
    state_->sizes.push_back({{size.height, size.width}, {image.height, image.width}});
  }
  flush();
  return all;
}

std::vector<Detection> DetectorEngine::detect(const Image& image) {
  return std::move(detect({&image, 1}, model_->spec().preprocessing).front());
}

}  // namespace asmlp
