#include <algorithm>

#include "asmlp/api/batch_runner.h"
#include "asmlp/asmlp.hpp"
#include "asmlp/core/error.h"
#include "asmlp/metrics/topk.h"

namespace asmlp {
namespace {

// The predictions of every image of `input`.
template <typename Input>
std::vector<std::vector<Prediction>> predictions(BatchRunner& runner, const Input& input, int k) {
  require(k >= 1, ErrorCode::kInvalidArgument, "top_k is {}, must be at least 1", k);
  const std::vector<std::string>& labels = runner.model().info().classes;
  const size_t classes = labels.size();
  std::vector<std::vector<Prediction>> all;
  runner.run(input, [&](const Engine& engine, int batch) {
    for (size_t slot = 0; slot < static_cast<size_t>(batch); ++slot) {
      const auto logits = engine.logits().subspan(slot * classes, classes);
      const std::vector<float> probabilities = softmax(logits);
      std::vector<Prediction>& best = all.emplace_back();
      for (int index : top_k(logits, k)) {
        const size_t at = static_cast<size_t>(index);
        best.push_back({index, probabilities[at], labels[at]});
      }
    }
  });
  return all;
}

template <typename Input>
void write_logits(BatchRunner& runner, const Input& input, OutputView out) {
  const size_t classes = static_cast<size_t>(runner.model().info().num_classes);
  check_output(out, runner.check(input).images * classes, "the logits");
  float* next = out.data;
  runner.run(input, [&next](const Engine& engine, int) {
    next = std::ranges::copy(engine.logits(), next).out;
  });
}

std::shared_ptr<const Model> with_head(std::shared_ptr<const Model> model) {
  require(model != nullptr, ErrorCode::kInvalidArgument, "the model is a null pointer");
  require(model->info().is_classifier, ErrorCode::kUnsupported,
          "{}: the model has no head, so it cannot classify; use Backbone",
          model->name().empty() ? "model" : model->name());
  return model;
}

}  // namespace

Classifier::Classifier(std::shared_ptr<const Model> model, const RunOptions& options)
    : runner_(std::make_unique<BatchRunner>(with_head(std::move(model)), options, Keep::kLogits)) {}
Classifier::Classifier(const std::filesystem::path& file, const RunOptions& options)
    : Classifier(load_model(file).model, options) {}
Classifier::~Classifier() { discard(runner_); }
Classifier::Classifier(Classifier&&) noexcept = default;
Classifier& Classifier::operator=(Classifier&& other) noexcept {
  if (this != &other) {
    discard(runner_);
    runner_ = std::move(other.runner_);
  }
  return *this;
}

const Model& Classifier::model() const { return runner_->model(); }

std::vector<Prediction> Classifier::classify(const std::filesystem::path& file, int top_k) {
  return classify(read_image(file, runner_->reading()).view(), top_k);
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

void Classifier::logits(const std::vector<ImageView>& images, OutputView out) {
  write_logits(*runner_, images, out);
}

void Classifier::logits(const TensorView& tensor, OutputView out) {
  write_logits(*runner_, tensor, out);
}

}  // namespace asmlp
