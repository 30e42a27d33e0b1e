#include <algorithm>

#include "asmlp/api/batch_runner.h"
#include "asmlp/asmlp.hpp"
#include "asmlp/core/error.h"

namespace asmlp {
namespace {

// Where the features of a list of inputs go, batch after batch.
struct FeatureWriter {
  const std::vector<OutputView>& maps;
  OutputView embedding;
  size_t images;     // all of them
  size_t first = 0;  // of the next batch

  void check(const Model& model, const InputSize& input) const {
    const std::vector<FeatureInfo>& features = model.info().features;
    require(maps.size() <= features.size(), ErrorCode::kMismatch,
            "there are {} outputs for feature maps; the model has {}", maps.size(),
            features.size());
    for (size_t k = 0; k < maps.size(); ++k) {
      if (is_left_out(maps[k])) continue;
      const FeatureShape shape =
          model.feature_shape(static_cast<int>(k), input.height, input.width);
      const size_t pixels = static_cast<size_t>(shape.height) * static_cast<size_t>(shape.width);
      check_output(maps[k], images * static_cast<size_t>(shape.channels) * pixels,
                   features[k].name.c_str());
    }
    if (is_left_out(embedding)) return;
    check_output(embedding, images * static_cast<size_t>(model.info().embedding_size),
                 "the embedding");
  }

  void write(const Engine& engine, size_t batch) {
    for (size_t k = 0; k < maps.size(); ++k) {
      if (is_left_out(maps[k])) continue;
      const size_t length = maps[k].size / images;
      engine.copy_feature(static_cast<int>(k), {maps[k].data + first * length, batch * length});
    }
    if (!is_left_out(embedding)) {
      const size_t length = embedding.size / images;
      std::ranges::copy(engine.pooled(), embedding.data + first * length);
    }
    first += batch;
  }

  static bool is_left_out(const OutputView& out) { return out.data == nullptr && out.size == 0; }
};

template <typename Input>
void write_features(BatchRunner& runner, const Input& input, const std::vector<OutputView>& maps,
                    OutputView embedding) {
  const InputSize size = runner.check(input);
  FeatureWriter writer{maps, embedding, size.images};
  writer.check(runner.model(), size);
  runner.run(input, [&writer](const Engine& engine, int batch) {
    writer.write(engine, static_cast<size_t>(batch));
  });
}

}  // namespace

Backbone::Backbone(std::shared_ptr<const Model> model, const RunOptions& options)
    : runner_(std::make_unique<BatchRunner>(std::move(model), options, Keep::kFeatures)) {}
Backbone::Backbone(const std::filesystem::path& file, const RunOptions& options)
    : Backbone(load_model(file).model, options) {}
Backbone::~Backbone() { discard(runner_); }
Backbone::Backbone(Backbone&&) noexcept = default;
Backbone& Backbone::operator=(Backbone&& other) noexcept {
  if (this != &other) {
    discard(runner_);
    runner_ = std::move(other.runner_);
  }
  return *this;
}

const Model& Backbone::model() const { return runner_->model(); }

Features Backbone::features(const std::filesystem::path& file) {
  const DecodedImage image = read_image(file, runner_->reading());
  return features(std::vector<ImageView>{image.view()});
}

Features Backbone::features(const std::vector<ImageView>& images) {
  return collect(*runner_, images).features;
}

Features Backbone::features(const TensorView& tensor) { return collect(*runner_, tensor).features; }

void Backbone::features(const std::vector<ImageView>& images, const std::vector<OutputView>& maps,
                        OutputView embedding) {
  write_features(*runner_, images, maps, embedding);
}

void Backbone::features(const TensorView& tensor, const std::vector<OutputView>& maps,
                        OutputView embedding) {
  write_features(*runner_, tensor, maps, embedding);
}

}  // namespace asmlp
