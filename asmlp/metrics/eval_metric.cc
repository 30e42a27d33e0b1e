#include "asmlp/metrics/eval_metric.h"

#include <fmt/format.h>

#include <cmath>

#include "asmlp/core/error.h"

namespace asmlp {
namespace {

constexpr EvalMetricInfo kEvalMetrics[] = {
    {"loss", "loss", "", "Cross entropy on the validation images", "Loss"},
    {"top1", "top-1", "%", "Percent of the validation images", "Accuracy"},
    {"top5", "top-5", "%", "Percent of the validation images", "Accuracy"},
    {"bbox_AP", "box AP", "", "Average precision of boxes, IoU 0.50:0.95", "Boxes"},
    {"bbox_AP50", "box AP50", "", "Average precision of boxes, IoU 0.50", "Boxes"},
    {"bbox_AP75", "box AP75", "", "Average precision of boxes, IoU 0.75", "Boxes"},
    {"segm_AP", "mask AP", "", "Average precision of masks, IoU 0.50:0.95", "Masks"},
    {"segm_AP50", "mask AP50", "", "Average precision of masks, IoU 0.50", "Masks"},
    {"segm_AP75", "mask AP75", "", "Average precision of masks, IoU 0.75", "Masks"},
    {"mIoU", "mIoU", "%", "Mean intersection over union of the classes", "Segmentation"},
    {"mAcc", "mAcc", "%", "Mean accuracy of the classes", "Segmentation"},
    {"aAcc", "aAcc", "%", "Accuracy of all pixels", "Segmentation"},
};

}  // namespace

double value_of(const EvalMetrics& metrics, const std::string& name) {
  for (const EvalMetric& metric : metrics) {
    if (metric.name == name) return metric.value;
  }
  return NAN;
}

const EvalMetricInfo& eval_metric_info(const std::string& name) {
  for (const EvalMetricInfo& info : kEvalMetrics) {
    if (name == info.name) return info;
  }
  fail(ErrorCode::kInvalidArgument, "'{}' is no metric of a validation", name);
}

std::string eval_metric_text(const EvalMetric& metric) {
  const bool per_cent = *eval_metric_info(metric.name).unit != '\0';
  return per_cent ? fmt::format("{:.3f} %", metric.value) : fmt::format("{:.4f}", metric.value);
}

}  // namespace asmlp
