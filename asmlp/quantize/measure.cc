#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "asmlp/quantize/subject.h"

namespace asmlp {
namespace {

double mean_of(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

auto first_class(std::span<const float> scores) {
  return std::max_element(scores.begin(), scores.end()) - scores.begin();
}

struct PartDifference {
  double error = 0;
  int64_t rows = 0, same = 0;  // of classes
};

PartDifference difference(const OutputPart& reference, const OutputPart& outputs) {
  const auto width = static_cast<size_t>(reference.width);
  PartDifference result;
  double squares = 0, all = 0;
  for (size_t i = 0; i < reference.values.size(); i += width) {
    const auto right = std::span(reference.values).subspan(i, width);
    const auto found = std::span(outputs.values).subspan(i, width);
    const double right_mean = reference.classes ? mean_of(right) : 0;
    const double mean = reference.classes ? mean_of(found) : 0;
    for (size_t k = 0; k < width; ++k) {
      const double value = right[k] - right_mean, off = found[k] - mean - value;
      squares += off * off;
      all += value * value;
    }
    if (!reference.classes) continue;
    ++result.rows;
    result.same += first_class(right) == first_class(found) ? 1 : 0;
  }
  result.error = squares == 0 ? 0 : all > 0 ? std::sqrt(squares / all) : INFINITY;
  if (!std::isfinite(squares)) result.error = INFINITY;
  return result;
}

}  // namespace

OutputDifference difference(std::span<const OutputPart> reference,
                            std::span<const OutputPart> outputs) {
  double squares = 0;
  int64_t rows = 0, same = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const PartDifference part = difference(reference[i], outputs[i]);
    squares += part.error * part.error;
    rows += part.rows;
    same += part.same;
  }
  OutputDifference result;
  result.error = std::sqrt(squares / static_cast<double>(reference.size()));
  if (rows > 0) result.agreement = static_cast<double>(same) / static_cast<double>(rows);
  return result;
}

}  // namespace asmlp
