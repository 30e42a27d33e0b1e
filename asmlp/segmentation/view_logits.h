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

// Runs the network on a row of windows when its lines are asked for, and keeps what it gives, on
// the network's own map (a sixteenth of the pixels), until the last line of the image that needs it
// has passed.
class ViewLogits {
 public:
  // `view` is the image in the view's size, not mirrored; the first row of windows is run at once.
  // Labels are wanted for an image of height x width.
  ViewLogits(std::shared_ptr<const Image> view, bool mirrored, int height, int width,
             const ViewSettings& settings);

  // Runs windows until line y of the image can be computed. Lines come in ascending order.
  void run_until(int y);
  // The lines [0, ready()) of the image can be computed.
  int ready() const;
  // What line y needs; y is below ready(), and not below what was released.
  ViewLine line(int y) const;
  // The lines above y are done.
  void release_before(int y);

 private:
  struct MapLine {
    const float* values = nullptr;
    std::vector<uint8_t> labels;
    std::unique_ptr<float[]> own;
  };
  void run_windows();
  LogitView run_window(Rows rows, Rows columns);
  void plan(const LogitView& map);
  void keep(const LogitView& map, size_t column);

  ViewSettings settings_;
  std::shared_ptr<const Image> view_;
  bool mirrored_;
  int height_, width_;
  ViewAxis rows_, columns_;
  AxisTaps row_taps_, column_taps_;  // empty before the first window has run
  std::vector<int> last_use_;        // of each line of the maps: the last line of the image
  int64_t stride_ = 0;               // from cell to cell
  size_t rows_run_ = 0;              // rows of windows
  size_t released_ = 0;              // lines of the maps
  std::vector<MapLine> lines_;
  std::vector<float> input_;
};

}  // namespace asmlp::segment
