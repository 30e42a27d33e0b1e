#include "asmlp/cli/images/evaluation.h"

#include <algorithm>
#include <numeric>

#include "asmlp/image/input_batch.h"

namespace asmlp::cli {
namespace {

// A confusion matrix of more classes would take more than 800 MB.
constexpr int kMaxConfusionClasses = 10000;

// Keeps the most confident mistakes, most confident first.
void keep_mistake(std::vector<SheetItem>& mistakes, SheetItem item) {
  const auto place = std::ranges::find_if(
      mistakes, [&](const SheetItem& other) { return other.probability < item.probability; });
  if (place == mistakes.end() && mistakes.size() >= kSheetMistakes) return;
  mistakes.insert(place, std::move(item));
  if (mistakes.size() > kSheetMistakes) mistakes.pop_back();
}

}  // namespace

std::vector<int> match_classes(const std::vector<std::string>& data,
                               const std::vector<std::string>& model, int model_classes,
                               std::string* note) {
  require(static_cast<int>(data.size()) == model_classes, ErrorCode::kMismatch,
          "the data has {} classes ({}...), the model has {} ({}...): they must be the same",
          data.size(), data.empty() ? "none" : data.front(), model_classes,
          model.empty() ? "without names" : model.front());
  std::vector<int> targets(data.size());
  std::iota(targets.begin(), targets.end(), 0);
  if (model.empty() || model == data) return targets;
  if (std::is_permutation(data.begin(), data.end(), model.begin(), model.end())) {
    for (size_t k = 0; k < data.size(); ++k) {
      targets[k] = static_cast<int>(std::ranges::find(model, data[k]) - model.begin());
    }
    if (note) *note = "data and model have the same classes in different order; matched by name";
    return targets;
  }
  const auto [a, b] = std::ranges::mismatch(data, model);
  if (note) {
    *note = fmt::format(
        "class names of data and model differ (class {}: '{}' and '{}'); matched by "
        "number",
        a - data.begin(), *a, *b);
  }
  return targets;
}

int64_t evaluated_images(const Dataset& dataset, int64_t limit) {
  return limit > 0 ? std::min(limit, dataset.size()) : dataset.size();
}

Evaluation evaluate(const Dataset& dataset, const std::vector<int>& targets, const ModelSpec& spec,
                    Runner& runner, int threads, const EvaluationOptions& options,
                    const EvaluationObserver& observer) {
  const size_t classes = static_cast<size_t>(spec.config.num_classes);
  const int64_t images = evaluated_images(dataset, options.limit);
  Evaluation result;
  if (options.confusion || options.sheet) {
    require(spec.config.num_classes <= kMaxConfusionClasses, ErrorCode::kTooLarge,
            "a confusion matrix of {} classes; at most {} are supported", spec.config.num_classes,
            kMaxConfusionClasses);
    result.confusion = std::make_unique<ConfusionMatrix>(spec.config.num_classes);
  }
  InputBatch batch(spec.preprocessing, threads);
  for (int64_t first = 0; first < images; first += options.batch_size) {
    const int count = static_cast<int>(std::min<int64_t>(options.batch_size, images - first));
    // Which image of the data set: all of them, or `images` spread evenly.
    const auto index = [&](int item) { return (first + item) * dataset.size() / images; };
    batch.load(count, [&](int item) { return dataset.get(index(item)).image; });
    std::vector<Evaluation::Failure> fresh;
    for (const auto& failure : batch.failures()) fresh.push_back({failure.message, failure.code});
    if (batch.size() > 0) runner.run(batch.input(), batch.size());
    for (int slot = 0; slot < batch.size(); ++slot) {
      const int64_t position = first + batch.item(slot);
      const int target = targets[static_cast<size_t>(dataset.target(index(batch.item(slot))))];
      const auto logits = runner.logits().subspan(static_cast<size_t>(slot) * classes, classes);
      const int predicted = top_k(logits, 1).front();
      result.meter.add(logits, target);
      if (result.confusion) result.confusion->add(target, predicted);
      if (!options.sheet) continue;
      const bool sample =
          position * kSheetSamples / images != (position + 1) * kSheetSamples / images;
      if (!sample && predicted == target) continue;
      SheetItem item{batch.image(slot), target, predicted,
                     softmax(logits)[static_cast<size_t>(predicted)]};
      if (sample) result.samples.push_back(item);
      if (predicted != target) keep_mistake(result.mistakes, std::move(item));
    }
    result.failures.insert(result.failures.end(), fresh.begin(), fresh.end());
    if (observer) observer(first + count, result, fresh);
  }
  return result;
}

}  // namespace asmlp::cli
