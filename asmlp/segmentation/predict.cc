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
  const bool several = options.multi_scale || options.flip;
  settings.keep_maps = several;
  for (const double ratio : kTtaScales) {
    if (!options.multi_scale && ratio != 1) continue;
    const auto view = resized(image, view_size(image, settings.input, ratio, options.full_size));
    for (const auto length : {view->height, view->width}) {
      settings.keep_maps |= windows_of(length, options.sliding).size() > 1;
    }
    for (const bool mirrored : {false, true}) {
      if (mirrored && !options.flip) continue;
      views.emplace_back(view, mirrored, image.height, image.width, settings);
      // A view that the network sees as a whole needs no pixels any more.
      if (several) views.back().run_rows_until(0);
    }
  }
  return views;
}

// A rectangle of the image: lines [top, bottom), of each the pixels [left, right).
struct Block {
  int top = 0, bottom = 0, left = 0, right = 0;
};

void label_block(const std::deque<ViewLogits>& views, int classes, const Block& block,
                 const detect::ParallelFor& parallel, Image& labels) {
  if (block.left >= block.right) return;
  const int64_t tasks = (int64_t{block.bottom} - block.top + kTaskLines - 1) / kTaskLines;
  run_tasks(parallel, tasks, [&](int64_t task) {
    LineLabeler labeler(classes, labels.width);
    std::vector<ViewLine> lines;
    const int top = block.top + static_cast<int>(task) * kTaskLines;
    for (int y = top; y < std::min(top + kTaskLines, block.bottom); ++y) {
      lines.clear();
      for (const ViewLogits& view : views) lines.push_back(view.line(y));
      labeler.label(lines, block.left, block.right, labels.row(y));
    }
  });
}

// One view: what a window completes is labeled at once.
void label_by_windows(std::deque<ViewLogits>& views, int classes,
                      const detect::ParallelFor& parallel, Image& labels) {
  ViewLogits& view = views.front();
  for (int top = 0, bottom = 0; top < labels.height; top = bottom) {
    for (int i = 0, left = 0; i < view.windows_in_row(); ++i) {
      view.run_window();
      bottom = view.lines_ready();
      const int right = view.pixels_ready();
      label_block(views, classes, {top, bottom, left, right}, parallel, labels);
      view.release(bottom, right);
      left = right;
    }
  }
}

// Several views, whose windows are not the same: rows of windows of all.
void label_by_rows(std::deque<ViewLogits>& views, int classes, const detect::ParallelFor& parallel,
                   Image& labels) {
  for (int top = 0, bottom = 0; top < labels.height; top = bottom) {
    bottom = labels.height;
    for (ViewLogits& view : views) {
      view.run_rows_until(top);
      bottom = std::min(bottom, view.lines_ready());
    }
    label_block(views, classes, {top, bottom, 0, labels.width}, parallel, labels);
    for (ViewLogits& view : views) view.release(bottom, labels.width);
  }
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
  if (views.size() == 1) {
    label_by_windows(views, classes, parallel, labels);
  } else {
    label_by_rows(views, classes, parallel, labels);
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
