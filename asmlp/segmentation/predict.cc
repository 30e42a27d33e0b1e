#include "asmlp/segmentation/predict.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>

#include "asmlp/core/error.h"
#include "asmlp/image/opencv/cv_resize.h"
#include "asmlp/metrics/segmentation.h"
#include "asmlp/segmentation/tasks.h"
#include "asmlp/segmentation/view_logits.h"

namespace asmlp::segment {
namespace {

// Lines of a task: enough that its scratch memory costs little.
constexpr int kTaskLines = 8;

CvSize view_size(const Image& image, const DenseInput& input, double ratio, bool full_size) {
  if (full_size) {
    const auto scaled = [&](int side) {
      return std::max(1, static_cast<int>(std::lround(side * ratio)));
    };
    return {scaled(image.height), scaled(image.width)};
  }
  // Whole pixels, as mmseg has them.
  return fitted_size(image.height, image.width,
                     std::max(1, static_cast<int>(input.short_side * ratio)),
                     std::max(1, static_cast<int>(input.long_side * ratio)));
}

std::shared_ptr<const Image> resized(const Image& image, CvSize size) {
  if (size == CvSize{image.height, image.width}) {
    return {std::shared_ptr<const Image>(), &image};  // the caller's outlives all views
  }
  return std::make_shared<const Image>(resize_bilinear(image, size));
}

// Views own much memory and stay where they are.
std::deque<ViewLogits> views_of(const Image& image, ViewSettings settings,
                                const PredictOptions& options) {
  std::deque<ViewLogits> views;
  settings.keep_maps = options.multi_scale || options.flip;
  for (const double ratio : kTtaScales) {
    if (!options.multi_scale && ratio != 1) continue;
    const auto view = resized(image, view_size(image, settings.input, ratio, options.full_size));
    for (const auto length : {view->height, view->width}) {
      settings.keep_maps |= windows_of(length, options.sliding).size() > 1;
    }
    views.emplace_back(view, false, image.height, image.width, settings);
    if (options.flip) views.emplace_back(view, true, image.height, image.width, settings);
  }
  return views;
}

// The lines [first, end).
void label_lines(const std::deque<ViewLogits>& views, int classes, int first, int end,
                 const detect::ParallelFor& parallel, Image& labels) {
  const int64_t tasks = (int64_t{end} - first + kTaskLines - 1) / kTaskLines;
  run_tasks(parallel, tasks, [&](int64_t task) {
    LineLabeler labeler(classes, labels.width);
    std::vector<ViewLine> lines;
    const int begin = first + static_cast<int>(task) * kTaskLines;
    for (int y = begin; y < std::min(begin + kTaskLines, end); ++y) {
      lines.clear();
      for (const ViewLogits& view : views) lines.push_back(view.line(y));
      labeler.label(lines, labels.row(y));
    }
  });
}

}  // namespace

Image predict(const Image& image, const DenseInput& input, int classes, const Network& network,
              const PredictOptions& options, const detect::ParallelFor& parallel) {
  require(image.height > 0 && image.width > 0, ErrorCode::kInvalidArgument,
          "an image of {} x {} has no pixels", image.height, image.width);
  require(classes >= 1 && classes <= kIgnoredLabel, ErrorCode::kUnsupported,
          "{} classes: label maps hold 1 to {}", classes, kIgnoredLabel);
  if (options.sliding) validate(*options.sliding);
  std::deque<ViewLogits> views =
      views_of(image, {input, classes, network, options.sliding, parallel, false}, options);
  Image labels(image.height, image.width, 1);
  for (int first = 0; first < image.height;) {
    int end = image.height;
    for (ViewLogits& view : views) {
      view.run_until(first);
      end = std::min(end, view.ready());
    }
    label_lines(views, classes, first, end, parallel, labels);
    for (ViewLogits& view : views) view.release_before(end);
    first = end;
  }
  return labels;
}

std::vector<double> class_shares(const Image& labels, int classes) {
  require(labels.channels == 1, ErrorCode::kInvalidArgument, "a label map has one channel, not {}",
          labels.channels);
  require(classes >= 1 && classes <= 256, ErrorCode::kInvalidArgument, "{} classes: must be 1..256",
          classes);
  std::vector<int64_t> counts(256);
  for (const uint8_t label : labels.pixels) ++counts[label];
  std::vector<double> shares(static_cast<size_t>(classes));
  const auto pixels = static_cast<double>(std::max<size_t>(1, labels.pixels.size()));
  for (size_t c = 0; c < shares.size(); ++c) shares[c] = static_cast<double>(counts[c]) / pixels;
  return shares;
}

}  // namespace asmlp::segment
