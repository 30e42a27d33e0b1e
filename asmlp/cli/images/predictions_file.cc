#include "asmlp/cli/images/predictions_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "asmlp/metrics/topk.h"
#include "asmlp/model/spec.h"
#include "asmlp/report/table.h"

namespace asmlp::cli {

PredictionRows::PredictionRows(std::vector<int> numbers, std::vector<std::string> classes)
    : numbers_(std::move(numbers)),
      classes_(std::move(classes)),
      csv_(csv_line({"filename", "target", "target_label", "prediction", "label", "prob",
                     "target_prob", "correct", "correct_top5", "loss", "top5"})) {}

int PredictionRows::number(int place) const {
  return numbers_.empty() ? place : numbers_[static_cast<size_t>(place)];
}

void PredictionRows::add(const std::string& name, int target, std::span<const float> logits) {
  const std::vector<int> best = top_k(logits, 5);
  const std::vector<float> probabilities = softmax(logits);
  TopKMeter meter;  // of this image: the loss as the whole data's is the mean of
  meter.add(logits, target);
  std::string top5;
  for (const int place : best) top5 += (top5.empty() ? "" : " ") + std::to_string(number(place));
  const auto label = [&](int place) {
    return classes_.empty() ? class_label({}, number(place)) : class_label(classes_, place);
  };
  const bool among = std::ranges::find(best, target) != best.end();
  csv_ += csv_line({name, std::to_string(number(target)), label(target),
                    std::to_string(number(best.front())), label(best.front()),
                    fmt::format("{}", probabilities[static_cast<size_t>(best.front())]),
                    fmt::format("{}", probabilities[static_cast<size_t>(target)]),
                    best.front() == target ? "1" : "0", among ? "1" : "0",
                    fmt::format("{}", meter.loss()), top5});
}

}  // namespace asmlp::cli
