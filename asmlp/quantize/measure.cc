#include "asmlp/quantize/measure.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace asmlp {
namespace {

double mean_of(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

auto first_class(std::span<const float> logits) {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

}  // namespace

std::vector<float> outputs_of(const Checkpoint& checkpoint, const NetworkInputs& inputs,
                              std::span<const int64_t> indices, int threads,
                              const ImageCounter& progress) {
  const bool classifies = checkpoint.spec.config.num_classes > 0;
  Engine engine(PackedModel::create(checkpoint.spec, checkpoint.tensors),
                {.height = inputs.height,
                 .width = inputs.width,
                 .max_batch = kCalibrationBatch,
                 .threads = threads});
  std::vector<float> outputs;
  const auto keep = [&](int) {
    const auto values = classifies ? engine.logits() : engine.pooled();
    outputs.insert(outputs.end(), values.begin(), values.end());
  };
  run_images(engine, inputs, indices, keep, progress);
  return outputs;
}

OutputDifference difference(std::span<const float> reference, std::span<const float> outputs,
                            const Config& config) {
  const bool classifies = config.num_classes > 0;
  const auto width = static_cast<size_t>(classifies ? config.num_classes : config.num_features());
  double squares = 0, all = 0;
  size_t same = 0;
  for (size_t i = 0; i < reference.size(); i += width) {
    const auto right = reference.subspan(i, width), found = outputs.subspan(i, width);
    const double right_mean = classifies ? mean_of(right) : 0,
                 mean = classifies ? mean_of(found) : 0;
    for (size_t k = 0; k < width; ++k) {
      const double value = right[k] - right_mean, off = found[k] - mean - value;
      squares += off * off;
      all += value * value;
    }
    if (classifies) same += first_class(right) == first_class(found) ? 1 : 0;
  }
  OutputDifference result;
  result.error = squares == 0 ? 0 : all > 0 ? std::sqrt(squares / all) : INFINITY;
  if (!std::isfinite(squares)) result.error = INFINITY;
  if (classifies) {
    result.agreement = static_cast<double>(same) / static_cast<double>(reference.size() / width);
  }
  return result;
}

}  // namespace asmlp
