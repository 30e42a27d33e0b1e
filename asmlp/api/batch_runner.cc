#include "asmlp/api/batch_runner.h"

#include <algorithm>
#include <exception>

#include "asmlp/api/views.h"
#include "asmlp/core/error.h"
#include "asmlp/core/out_of_memory.h"

namespace asmlp {
namespace {

// Of the results of `images` images, when `engine` has kept those of `batch`.
double results_bytes(size_t images, const Engine& engine, int batch) {
  size_t floats = engine.logits().size() + engine.pooled().size();
  for (int k = 0; k < engine.num_features(); ++k) {
    floats += static_cast<size_t>(element_count(engine.feature_shape(k)));
  }
  return static_cast<double>(images) * static_cast<double>(floats) * sizeof(float) / batch;
}

// Appends what `engine` has kept of its last batch.
void append(Collected& all, const ModelInfo& info, const Engine& engine, int batch) {
  const auto extend = [](std::vector<float>& values, std::span<const float> more) {
    values.insert(values.end(), more.begin(), more.end());
  };
  extend(all.logits, engine.logits());
  extend(all.features.embedding, engine.pooled());
  all.features.batch += batch;
  std::vector<FeatureMap>& maps = all.features.maps;
  maps.resize(static_cast<size_t>(engine.num_features()));
  for (int k = 0; k < engine.num_features(); ++k) {
    FeatureMap& map = maps[static_cast<size_t>(k)];
    const FeatureInfo& feature = info.features[static_cast<size_t>(k)];
    const Shape shape = engine.feature_shape(k);
    map.name = feature.name;
    map.stride = feature.stride;
    map.channels = feature.channels;
    map.height = static_cast<int>(shape[2]);
    map.width = static_cast<int>(shape[3]);
    const size_t old = map.values.size();
    map.values.resize(old + static_cast<size_t>(element_count(shape)));
    engine.copy_feature(k, std::span(map.values).subspan(old));
  }
}

template <typename Input>
Collected collect_from(BatchRunner& runner, const Input& input) {
  Collected all{};
  const InputSize size = runner.check(input);
  runner.run(input, [&](const Engine& engine, int batch) {
    with_memory_for("the results", results_bytes(size.images, engine, batch),
                    [&] { append(all, runner.model().info(), engine, batch); });
  });
  return all;
}

}  // namespace

BatchRunner::BatchRunner(std::shared_ptr<const Model> model, const RunOptions& options, Keep keep)
    : model_(std::move(model)), options_(options), keep_(keep) {
  require(model_ != nullptr, ErrorCode::kInvalidArgument, "the model is a null pointer");
  require(options.max_batch >= 1 && options.max_batch <= 4096, ErrorCode::kInvalidArgument,
          "max_batch is {}, must be between 1 and 4096", options.max_batch);
  preprocessing_ = model_->packed()->spec().preprocessing;
  if (options.image_size != 0) preprocessing_.size = options.image_size;
  engine(preprocessing_.size, preprocessing_.size, 1);
}

Engine& BatchRunner::engine(int height, int width, int batch) {
  const bool fits = engine_ && engine_->height() == height && engine_->width() == width &&
                    engine_->max_batch() >= batch;
  if (!fits) {
    engine_.reset();  // the memory of the old one first
    engine_.emplace(model_->packed(), EngineOptions{.height = height,
                                                    .width = width,
                                                    .max_batch = batch,
                                                    .threads = options_.threads,
                                                    .features = keep_ == Keep::kFeatures});
  }
  return *engine_;
}

InputSize BatchRunner::check(const std::vector<ImageView>& images) const {
  check_channels(model_->info().in_channels);
  for (size_t i = 0; i < images.size(); ++i) check_image(images[i], i);
  return {images.size(), preprocessing_.size, preprocessing_.size};
}

InputSize BatchRunner::check(const TensorView& tensor) const {
  check_tensor(tensor, model_->info().in_channels);
  return {static_cast<size_t>(tensor.batch), tensor.height, tensor.width};
}

void BatchRunner::run(int64_t images, const Fetch& fetch, const ConsumeInput& consume) {
  const OneCaller::Writing turn(caller_);
  run_batches(images, fetch, consume);
}

void BatchRunner::run_batches(int64_t images, const Fetch& fetch, const ConsumeInput& consume) {
  if (!batch_) batch_.emplace(preprocessing_, options_.threads);
  const int side = preprocessing_.size;
  for (int64_t first = 0; first < images; first += options_.max_batch) {
    const int count = static_cast<int>(std::min<int64_t>(options_.max_batch, images - first));
    batch_->load(count, [&](int item) { return fetch(first + item); });
    Engine& chosen = engine(side, side, count);
    if (batch_->size() > 0) chosen.run(batch_->input(), batch_->size());
    consume(chosen, *batch_, first);
  }
}

void BatchRunner::run(const std::vector<ImageView>& images, const Consume& consume) {
  const OneCaller::Writing turn(caller_);
  check(images);
  run_batches(
      static_cast<int64_t>(images.size()),
      [&](int64_t index) { return copy_of(images[static_cast<size_t>(index)]); },
      [&](const Engine& chosen, const InputBatch& batch, int64_t) {
        for (const auto& failure : batch.failures()) std::rethrow_exception(failure.cause);
        consume(chosen, batch.size());
      });
}

void BatchRunner::run(const TensorView& tensor, const Consume& consume) {
  const OneCaller::Writing turn(caller_);
  check(tensor);
  const size_t length = static_cast<size_t>(tensor.channels) * static_cast<size_t>(tensor.height) *
                        static_cast<size_t>(tensor.width);
  for (int first = 0; first < tensor.batch;) {
    const int batch = std::min(options_.max_batch, tensor.batch - first);
    Engine& chosen = engine(tensor.height, tensor.width, batch);
    chosen.run(std::span(tensor.data + static_cast<size_t>(first) * length,
                         static_cast<size_t>(batch) * length),
               batch);
    consume(chosen, batch);
    first += batch;
  }
}

void discard(std::unique_ptr<BatchRunner>& runner) noexcept {
  if (runner && runner->left_half_done()) {
    static_cast<void>(runner.release());
  } else {
    runner.reset();
  }
}

void check_output(const OutputView& out, size_t needed, const char* what) {
  require(out.size == needed, ErrorCode::kMismatch,
          "the output for {} has room for {} floats, exactly {} are needed", what, out.size,
          needed);
  require(out.data != nullptr || needed == 0, ErrorCode::kInvalidArgument,
          "the output for {} is a null pointer", what);
}

Collected collect(BatchRunner& runner, const std::vector<ImageView>& images) {
  return collect_from(runner, images);
}

Collected collect(BatchRunner& runner, const TensorView& tensor) {
  return collect_from(runner, tensor);
}

}  // namespace asmlp
