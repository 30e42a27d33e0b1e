#include "asmlp/metrics/eval_metric.h"

#include <fmt/format.h>

#include <cmath>

#include "asmlp/core/error.h"

namespace asmlp::train {
namespace {

constexpr FigureInfo kFigures[] = {
    {"loss", "loss", "", "Cross entropy on the validation images", "Loss"},
    {"top1", "top-1", "%", "Per cent of the validation images", "Accuracy"},
    {"top5", "top-5", "%", "Per cent of the validation images", "Accuracy"},
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

double value_of(const Figures& figures, const std::string& name) {
  for (const Figure& figure : figures) {
    if (figure.name == name) return figure.value;
  }
  return NAN;
}

const FigureInfo& figure_info(const std::string& name) {
  for (const FigureInfo& info : kFigures) {
    if (name == info.name) return info;
  }
  fail(ErrorCode::kInvalidArgument, "'{}' is no figure of a validation", name);
}

std::string figure_text(const Figure& figure) {
  const bool per_cent = *figure_info(figure.name).unit != '\0';
  return per_cent ? fmt::format("{:.3f} %", figure.value) : fmt::format("{:.4f}", figure.value);
}

}  // namespace asmlp::train
