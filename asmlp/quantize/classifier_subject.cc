#include "asmlp/quantize/classifier_subject.h"

#include <algorithm>

#include "asmlp/quantize/calibration.h"

namespace asmlp {
namespace {

// Images of a batch: what a cache holds of the weights serves all of them.
constexpr int kBatch = 8;

EngineOptions engine_options(const NetworkInputs& inputs, int threads) {
  return {.height = inputs.height, .width = inputs.width, .max_batch = kBatch, .threads = threads};
}

// Runs images in batches; after each, consume().
void run_images(Engine& engine, const NetworkInputs& inputs, std::span<const int64_t> images,
                const std::function<void()>& consume, const ImageCounter& progress) {
  const size_t size = static_cast<size_t>(engine.model().config().in_chans) *
                      static_cast<size_t>(inputs.height) * static_cast<size_t>(inputs.width);
  std::vector<float> batch(size * static_cast<size_t>(engine.max_batch()));
  while (!images.empty()) {
    const size_t count = std::min(images.size(), static_cast<size_t>(engine.max_batch()));
    for (size_t i = 0; i < count; ++i) {
      inputs.read(images[i], std::span(batch).subspan(i * size, size));
    }
    engine.run(std::span(batch).first(count * size), static_cast<int>(count));
    consume();
    if (progress) progress(static_cast<int>(count));
    images = images.subspan(count);
  }
}

}  // namespace

void ClassifierSubject::observe(const TensorMap& tensors, std::span<const int64_t> images,
                                int threads, InputObserver& observer,
                                const ImageCounter& progress) const {
  const auto model = PackedModel::create(checkpoint_.spec, tensors);
  observer.watch(input_readers(model->config(), model->weights()));
  Engine engine(model, engine_options(inputs_, threads));
  engine.observe(&observer);
  run_images(
      engine, inputs_, images, [] {}, progress);
}

std::vector<OutputPart> ClassifierSubject::outputs(const TensorMap& tensors,
                                                   std::span<const int64_t> images, int threads,
                                                   const ImageCounter& progress) const {
  const Config& config = checkpoint_.spec.config;
  const bool classifies = config.num_classes > 0;
  OutputPart part{{}, classifies ? config.num_classes : config.num_features(), classifies};
  Engine engine(PackedModel::create(checkpoint_.spec, tensors), engine_options(inputs_, threads));
  const auto keep = [&] {
    const auto values = classifies ? engine.logits() : engine.pooled();
    part.values.insert(part.values.end(), values.begin(), values.end());
  };
  run_images(engine, inputs_, images, keep, progress);
  return {std::move(part)};
}

}  // namespace asmlp
