#include "asmlp/segmentation/view_logits.h"

#include <algorithm>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/image/opencv/dense_input.h"
#include "asmlp/image/resize.h"
#include "asmlp/segmentation/tasks.h"

namespace asmlp::segment {

ViewLogits::ViewLogits(std::shared_ptr<const Image> view, bool mirrored, int height, int width,
                       const ViewSettings& settings)
    : settings_(settings),
      view_(std::move(view)),
      mirrored_(mirrored),
      height_(height),
      width_(width) {
  const auto axis = [&](int64_t length) {
    return ViewAxis{length, windows_of(length, settings_.sliding), 0, 0};
  };
  rows_ = axis(view_->height);
  columns_ = axis(view_->width);
  run_windows();
}

int ViewLogits::ready() const {
  if (rows_run_ == rows_.windows.size()) return height_;
  // The last line that needs nothing of the next row of windows.
  const auto next = static_cast<int32_t>(static_cast<int64_t>(rows_run_) * rows_.cells);
  const auto needs = [&](int y) {
    return row_taps_.index[static_cast<size_t>(row_taps_.begin[static_cast<size_t>(y) + 1]) - 1];
  };
  int low = 0, high = height_;  // `needs` never falls
  while (low < high) {
    const int middle = (low + high) / 2;
    if (needs(middle) < next) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void ViewLogits::run_until(int y) {
  while (ready() <= y) run_windows();
}

ViewLine ViewLogits::line(int y) const {
  ViewLine line;
  const auto begin = static_cast<size_t>(row_taps_.begin[static_cast<size_t>(y)]);
  const auto end = static_cast<size_t>(row_taps_.begin[static_cast<size_t>(y) + 1]);
  for (size_t k = begin; k < end; ++k) {
    const MapLine& source = lines_[static_cast<size_t>(row_taps_.index[k])];
    line.lines.push_back(source.values);
    line.labels.push_back(source.labels.data());
  }
  line.weights = row_taps_.weight.data() + begin;
  line.columns = &column_taps_;
  line.cells = std::ssize(columns_.windows) * columns_.cells;
  line.stride = stride_;
  line.mirrored = mirrored_;
  return line;
}

void ViewLogits::release_before(int y) {
  for (; released_ < lines_.size() && last_use_[released_] < y; ++released_) {
    lines_[released_] = {};
  }
}

void ViewLogits::run_windows() {
  const Rows rows = rows_.windows[rows_run_];
  for (size_t column = 0; column < columns_.windows.size(); ++column) {
    const LogitView map = run_window(rows, columns_.windows[column]);
    if (lines_.empty()) plan(map);
    keep(map, column);
  }
  if (++rows_run_ < rows_.windows.size()) return;
  view_.reset();
  input_ = {};
}

LogitView ViewLogits::run_window(Rows rows, Rows columns) {
  const auto side = [](int64_t value) { return static_cast<int>(value); };
  const int64_t left = mirrored_ ? columns_.length - columns.end : columns.first;
  Image part;
  const bool whole = rows.count() == view_->height && columns.count() == view_->width;
  if (!whole || mirrored_) {
    part = crop(*view_, {side(rows.first), side(left), side(rows.count()), side(columns.count())});
    if (mirrored_) part = flip_horizontal(part);
  }
  const Image& pixels = whole && !mirrored_ ? *view_ : part;
  const CvSize size = padded_size({pixels.height, pixels.width}, settings_.input);
  rows_.padded = size.height;
  columns_.padded = size.width;
  input_.resize(static_cast<size_t>(pixels.channels) * static_cast<size_t>(size.height) *
                static_cast<size_t>(size.width));
  normalize_into(pixels, settings_.input, size.height, size.width, input_);
  const LogitView map = settings_.network(input_, size.height, size.width);
  require(map.classes == settings_.classes, ErrorCode::kMismatch,
          "the network gives {} classes, expected {}", map.classes, settings_.classes);
  require(map.height > 0 && map.width > 0 && map.values != nullptr && map.stride >= map.classes,
          ErrorCode::kMismatch, "the network gives a map of {} x {} for an input of {} x {}",
          map.height, map.width, size.height, size.width);
  return map;
}

// With the size of the first map, which is that of all of this view.
void ViewLogits::plan(const LogitView& map) {
  rows_.cells = map.height;
  columns_.cells = map.width;
  row_taps_ = taps_of(rows_, height_);
  column_taps_ = taps_of(columns_, width_);
  const auto count = static_cast<size_t>(rows_.cells) * rows_.windows.size();
  lines_.resize(count);
  last_use_.assign(count, -1);
  for (int y = 0; y < height_; ++y) {
    for (auto k = row_taps_.begin[static_cast<size_t>(y)];
         k < row_taps_.begin[static_cast<size_t>(y) + 1]; ++k) {
      last_use_[static_cast<size_t>(row_taps_.index[static_cast<size_t>(k)])] = y;
    }
  }
  // A line that nothing uses goes with the one before it.
  for (size_t i = 1; i < count; ++i) last_use_[i] = std::max(last_use_[i], last_use_[i - 1]);
  stride_ = settings_.keep_maps ? map.classes : map.stride;
}

// Takes over the map of the window in `column` of the present row.
void ViewLogits::keep(const LogitView& map, size_t column) {
  require(map.height == rows_.cells && map.width == columns_.cells, ErrorCode::kMismatch,
          "the network gives maps of {} x {} and {} x {} for inputs of the same size", map.height,
          map.width, rows_.cells, columns_.cells);
  const size_t first = rows_run_ * static_cast<size_t>(rows_.cells);
  const size_t cells = static_cast<size_t>(columns_.cells) * columns_.windows.size();
  const size_t before = column * static_cast<size_t>(columns_.cells);
  const auto classes = static_cast<size_t>(map.classes);
  for (size_t y = 0; column == 0 && y < static_cast<size_t>(map.height); ++y) {
    MapLine& line = lines_[first + y];
    line.labels.resize(cells);
    if (!settings_.keep_maps) continue;
    line.own = std::make_unique_for_overwrite<float[]>(cells * classes);
    line.values = line.own.get();
  }
  run_tasks(settings_.parallel, map.height, [&](int64_t y) {
    MapLine& line = lines_[first + static_cast<size_t>(y)];
    const float* from = map.values + y * map.width * map.stride;
    label_cells(from, map.stride, map.width, map.classes, line.labels.data() + before);
    if (!settings_.keep_maps) {
      line.values = from;
      return;
    }
    float* to = line.own.get() + before * classes;
    for (int x = 0; x < map.width; ++x, from += map.stride, to += classes) {
      std::copy_n(from, classes, to);
    }
  });
}

}  // namespace asmlp::segment
