// The logits of one view of an image, whole or from overlapping windows, some lines at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "asmlp/segmentation/axis_taps.h"
#include "asmlp/segmentation/line_kernel.h"
#include "asmlp/segmentation/predict.h"

namespace asmlp::segment {

// What all views of an image share.
struct ViewSettings {
  const DenseInput& input;
  int classes;
  const Network& network;
  const std::optional<SlidingWindow>& sliding;
  const detect::ParallelFor& parallel;
  bool keep_maps;  // false: the network is called once only, its own map can be used
};

// Runs the network on one window after the other, row by row, and keeps what it gives, on the
// network's own map (a sixteenth of the pixels), until the last pixel that needs it has passed.
class ViewLogits {
 public:
  // `view` is the image in the view's size, not mirrored. Labels are wanted for an image of height
  // x width.
  ViewLogits(std::shared_ptr<const Image> view, bool mirrored, int height, int width,
             const ViewSettings& settings);

  int windows_in_row() const { return static_cast<int>(columns_.windows.size()); }
  // Runs the network on the next window.
  void run_window();
  // Runs whole rows of windows, one at least at first, until line y of the image can be computed.
  void run_rows_until(int y);

  // The lines [0, lines_ready()) need nothing below the present row of windows; of each, the pixels
  // [0, pixels_ready()) nothing to the right of the windows that have run.
  int lines_ready() const;
  int pixels_ready() const;
  // What line y needs, which is below lines_ready().
  ViewLine line(int y) const;
  // Of the lines [0, lines), all before and `pixels` of the others are done.
  void release(int lines, int pixels);

 private:
  // One line of the map of one window.
  struct Part {
    const float* values = nullptr;
    std::vector<uint8_t> labels;
    std::unique_ptr<float[]> own;
  };
  Part& part(size_t line, size_t column) { return parts_[line * columns_.windows.size() + column]; }
  LogitView run_network(Rows rows, Rows columns);
  void plan(const LogitView& map);
  void keep(const LogitView& map, size_t row, size_t column);

  ViewSettings settings_;
  std::shared_ptr<const Image> view_;
  bool mirrored_;
  int height_, width_;
  ViewAxis rows_, columns_;
  AxisTaps row_taps_, column_taps_;  // empty before the first window has run
  std::vector<int> last_line_;       // of each line of the maps: the last of the image to need it
  std::vector<int> last_pixel_;      // of each column of windows: the last pixel of a line
  int64_t stride_ = 0;               // from cell to cell
  size_t windows_run_ = 0;
  std::vector<Part> parts_;
  std::vector<size_t> released_;  // of each column of windows: lines of the maps
  std::vector<float> input_;
};

}  // namespace asmlp::segment
