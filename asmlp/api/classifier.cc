#include "asmlp/api/batch_runner.h"
#include "asmlp/asmlp.h"
#include "asmlp/core/error.h"
#include "asmlp/metrics/topk.h"

namespace asmlp {
namespace {

// The predictions of every image of `input`.
template <typename Input>
std::vector<std::vector<Prediction>> predictions(BatchRunner& runner, const Input& input, int k) {
  require(k >= 1, ErrorCode::kInvalidArgument, "top_k is {}, must be at least 1", k);
  const ModelSpec& spec = runner.model().spec();
  const size_t classes = static_cast<size_t>(spec.config.num_classes);
  std::vector<std::vector<Prediction>> all;
  runner.run(input, [&](const Engine& engine, int batch) {
    for (size_t slot = 0; slot < static_cast<size_t>(batch); ++slot) {
      const auto logits = engine.logits().subspan(slot * classes, classes);
      const std::vector<float> probabilities = softmax(logits);
      std::vector<Prediction>& best = all.emplace_back();
      for (int index : top_k(logits, k)) {
        best.push_back(
            {index, probabilities[static_cast<size_t>(index)], class_label(spec.classes, index)});
      }
    }
  });
  return all;
}

std::shared_ptr<const Model> with_head(std::shared_ptr<const Model> model) {
  require(model != nullptr, ErrorCode::kInvalidArgument, "the model is a null pointer");
  require(model->config().num_classes > 0, ErrorCode::kUnsupported,
          "{}: the model has no head, so it cannot classify; use Backbone",
          model->spec().name.empty() ? "model" : model->spec().name);
  return model;
}

}  // namespace

Classifier::Classifier(std::shared_ptr<const Model> model, const RunSettings& settings)
    : runner_(std::make_unique<BatchRunner>(with_head(std::move(model)), settings, Keep::kLogits)) {
}
Classifier::~Classifier() = default;
Classifier::Classifier(Classifier&&) noexcept = default;
Classifier& Classifier::operator=(Classifier&&) noexcept = default;

const Model& Classifier::model() const { return runner_->model(); }

std::vector<Prediction> Classifier::classify(const std::filesystem::path& file, int top_k) {
  return classify(read_image(file).view(), top_k);
}

std::vector<Prediction> Classifier::classify(const ImageView& image, int top_k) {
  return std::move(classify(std::vector<ImageView>{image}, top_k).front());
}

std::vector<std::vector<Prediction>> Classifier::classify(const std::vector<ImageView>& images,
                                                          int top_k) {
  return predictions(*runner_, images, top_k);
}

std::vector<std::vector<Prediction>> Classifier::classify(const TensorView& tensor, int top_k) {
  return predictions(*runner_, tensor, top_k);
}

std::vector<float> Classifier::logits(const std::vector<ImageView>& images) {
  return collect(*runner_, images).logits;
}

std::vector<float> Classifier::logits(const TensorView& tensor) {
  return collect(*runner_, tensor).logits;
}

}  // namespace asmlp
