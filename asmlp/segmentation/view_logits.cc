#include "asmlp/segmentation/view_logits.h"

#include <algorithm>
#include <utility>

#include "asmlp/core/error.h"
#include "asmlp/image/opencv/dense_input.h"
#include "asmlp/image/resize.h"
#include "asmlp/segmentation/tasks.h"

namespace asmlp::segment {

namespace {

// How many pixels, from the first on, need no cell from `end` on. The cells never fall.
int pixels_before(const AxisTaps& taps, int pixels, int64_t end) {
  int low = 0, high = pixels;
  while (low < high) {
    const int middle = (low + high) / 2;
    const auto last = static_cast<size_t>(taps.begin[static_cast<size_t>(middle) + 1]) - 1;
    if (taps.index[last] < end) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// The last pixel that needs each group of `size` cells; those that none needs go with the one
// before.
std::vector<int> last_uses(const AxisTaps& taps, int pixels, size_t groups, int64_t size) {
  std::vector<int> last(groups, -1);
  for (int i = 0; i < pixels; ++i) {
    for (auto k = taps.begin[static_cast<size_t>(i)]; k < taps.begin[static_cast<size_t>(i) + 1];
         ++k) {
      last[static_cast<size_t>(taps.index[static_cast<size_t>(k)] / size)] = i;
    }
  }
  for (size_t i = 1; i < groups; ++i) last[i] = std::max(last[i], last[i - 1]);
  return last;
}

}  // namespace

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
  released_.resize(columns_.windows.size());
}

void ViewLogits::run_window() {
  const size_t row = windows_run_ / columns_.windows.size();
  const size_t column = windows_run_ % columns_.windows.size();
  const LogitView map = run_network(rows_.windows[row], columns_.windows[column]);
  if (windows_run_ == 0) plan(map);
  keep(map, row, column);
  if (++windows_run_ < rows_.windows.size() * columns_.windows.size()) return;
  view_.reset();
  input_ = {};
}

void ViewLogits::run_rows_until(int y) {
  while (windows_run_ == 0 || lines_ready() <= y) {
    for (int i = 0; i < windows_in_row(); ++i) run_window();
  }
}

int ViewLogits::lines_ready() const {
  const auto row = static_cast<int64_t>((windows_run_ - 1) / columns_.windows.size());
  return pixels_before(row_taps_, height_, (row + 1) * rows_.cells);
}

int ViewLogits::pixels_ready() const {
  const auto column = static_cast<int64_t>((windows_run_ - 1) % columns_.windows.size());
  return pixels_before(column_taps_, width_, (column + 1) * columns_.cells);
}

ViewLine ViewLogits::line(int y) const {
  ViewLine line;
  const auto begin = static_cast<size_t>(row_taps_.begin[static_cast<size_t>(y)]);
  const auto end = static_cast<size_t>(row_taps_.begin[static_cast<size_t>(y) + 1]);
  const size_t windows = columns_.windows.size();
  for (size_t k = begin; k < end; ++k) {
    const Part* parts = &parts_[static_cast<size_t>(row_taps_.index[k]) * windows];
    for (size_t column = 0; column < windows; ++column) {
      line.values.push_back(parts[column].values);
      line.labels.push_back(parts[column].labels.data());
    }
  }
  line.weights = row_taps_.weight.data() + begin;
  line.lines = static_cast<int>(end - begin);
  line.windows = static_cast<int>(windows);
  line.cells = static_cast<int32_t>(columns_.cells);
  line.stride = stride_;
  line.columns = &column_taps_;
  line.mirrored = mirrored_;
  return line;
}

void ViewLogits::release(int lines, int pixels) {
  for (size_t column = 0; column < released_.size() && last_pixel_[column] < pixels; ++column) {
    size_t& line = released_[column];
    for (; line < last_line_.size() && last_line_[line] < lines; ++line) part(line, column) = {};
  }
}

LogitView ViewLogits::run_network(Rows rows, Rows columns) {
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
  const size_t lines = static_cast<size_t>(rows_.cells) * rows_.windows.size();
  parts_.resize(lines * columns_.windows.size());
  last_line_ = last_uses(row_taps_, height_, lines, 1);
  last_pixel_ = last_uses(column_taps_, width_, columns_.windows.size(), columns_.cells);
  stride_ = settings_.keep_maps ? map.classes : map.stride;
}

void ViewLogits::keep(const LogitView& map, size_t row, size_t column) {
  require(map.height == rows_.cells && map.width == columns_.cells, ErrorCode::kMismatch,
          "the network gives maps of {} x {} and {} x {} for inputs of the same size", map.height,
          map.width, rows_.cells, columns_.cells);
  const size_t first = row * static_cast<size_t>(rows_.cells);
  const auto cells = static_cast<size_t>(map.width), classes = static_cast<size_t>(map.classes);
  for (size_t y = 0; settings_.keep_maps && y < static_cast<size_t>(map.height); ++y) {
    part(first + y, column).own = std::make_unique_for_overwrite<float[]>(cells * classes);
  }
  run_tasks(settings_.parallel, map.height, [&](int64_t y) {
    Part& line = part(first + static_cast<size_t>(y), column);
    line.values = map.values + y * map.width * map.stride;
    line.labels.resize(cells);
    label_cells(line.values, map.stride, map.width, map.classes, line.labels.data());
    if (!settings_.keep_maps) return;
    float* to = line.own.get();
    for (size_t x = 0; x < cells; ++x, to += classes) {
      std::copy_n(line.values + static_cast<int64_t>(x) * map.stride, classes, to);
    }
    line.values = line.own.get();
  });
}

}  // namespace asmlp::segment
