// What the pictures of all tasks share: which images they show, and that drawing never ends a run.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "asmlp/image/image.h"
#include "asmlp/report/draw/tiles.h"
#include "asmlp/report/picture.h"
#include "asmlp/torch/data/batch_source.h"

namespace asmlp::train {

class TrainingTask;

// Numbers in [0, total), rising, `count` of them (or all): one in each of `count` equal parts, at
// places that differ from part to part, so that a data set in the order of its classes shows many.
std::vector<int64_t> spread(int64_t total, int64_t count);

// Calls `draw`; an exception is a warning that names `what`, once per process, and no more.
void draw_guarded(const std::string& what, const std::function<void()>& draw);

// The network's input, channels x height x width or larger, as an image again (image/preprocess.h).
Image input_image(const torch::Tensor& input, int64_t height, int64_t width,
                  std::span<const double> mean, std::span<const double> deviation, double white);

// Collects the first training images of a start, as the network saw them. It looks at the batches
// that were computed anyway, after that: it reads no file and draws no random number.
class SampleSheet {
 public:
  // 0: collects nothing.
  explicit SampleSheet(int64_t wanted) : wanted_(wanted) {}
  // A batch as loss() left it.
  void add(const TrainingTask& task, const data::Batch& batch);
  bool complete() const { return wanted_ > 0 && std::ssize(tiles_) >= wanted_; }
  // Draws what was collected, and collects nothing from then on.
  std::optional<Picture> take();

 private:
  int64_t wanted_;
  std::vector<Tile> tiles_;
};

}  // namespace asmlp::train
