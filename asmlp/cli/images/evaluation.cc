#include "asmlp/cli/images/evaluation.h"

#include <algorithm>

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

// The logits of the classes `valid`, in `room`; all of them when there are no such classes.
std::span<const float> restricted(std::span<const float> logits, const std::vector<int>& valid,
                                  std::vector<float>& room) {
  if (valid.empty()) return logits;
  room.clear();
  for (const int k : valid) room.push_back(logits[static_cast<size_t>(k)]);
  return room;
}

}  // namespace

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
    const int counted =
        options.valid.empty() ? spec.config.num_classes : static_cast<int>(options.valid.size());
    require(counted <= kMaxConfusionClasses, ErrorCode::kTooLarge,
            "a confusion matrix of {} classes; at most {} are supported", counted,
            kMaxConfusionClasses);
    result.confusion = std::make_unique<ConfusionMatrix>(counted);
  }
  std::vector<float> room;
  InputBatch batch(spec.preprocessing, threads);
  for (int64_t first = 0; first < images; first += options.batch_size) {
    const int count = static_cast<int>(std::min<int64_t>(options.batch_size, images - first));
    // Which image of the data set: all of them, or `images` spread evenly.
    const auto index = [&](int item) { return (first + item) * dataset.size() / images; };
    std::vector<std::string> names(static_cast<size_t>(count));
    batch.load(count, [&](int item) {
      asmlp::Sample sample = dataset.get(index(item));
      names[static_cast<size_t>(item)] = std::move(sample.name);
      return std::move(sample.image);
    });
    std::vector<Evaluation::Failure> fresh;
    for (const auto& failure : batch.failures()) fresh.push_back({failure.message, failure.code});
    if (batch.size() > 0) runner.run(batch.input(), batch.size());
    for (int slot = 0; slot < batch.size(); ++slot) {
      const int64_t position = first + batch.item(slot);
      const int target = targets[static_cast<size_t>(dataset.target(index(batch.item(slot))))];
      const auto logits =
          restricted(runner.logits().subspan(static_cast<size_t>(slot) * classes, classes),
                     options.valid, room);
      const int predicted = top_k(logits, 1).front();
      result.meter.add(logits, target);
      result.calibration.add(logits, target);
      if (options.on_image) {
        options.on_image(names[static_cast<size_t>(batch.item(slot))], target, logits);
      }
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
