// The metrics of a validation, by name.
#pragma once

#include <string>
#include <vector>

namespace asmlp {

struct EvalMetric {
  std::string name;  // of eval_metric_info's list: "top1", "bbox_AP", "mIoU", ...
  double value = 0;
  bool operator==(const EvalMetric&) const = default;
};

// In the order in which they are shown.
using EvalMetrics = std::vector<EvalMetric>;

// The value of a metric, NaN when it is not among them.
double value_of(const EvalMetrics& metrics, const std::string& name);

struct EvalMetricInfo {
  const char* name;   // in files: summary.csv, run.json, TensorBoard's tags
  const char* label;  // for people
  const char* unit;   // "%", or "" for fractions and losses
  const char* help;
  const char* chart;  // title of the chart in which it is drawn
};

// Error(kInvalidArgument) for an unknown name.
const EvalMetricInfo& eval_metric_info(const std::string& name);

// "81.234 %" or "0.5123", with the unit of the metric.
std::string eval_metric_text(const EvalMetric& metric);

}  // namespace asmlp
