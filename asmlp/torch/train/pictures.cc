#include "asmlp/torch/train/pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>

#include "asmlp/core/log.h"
#include "asmlp/core/out_of_memory.h"
#include "asmlp/image/preprocess.h"
#include "asmlp/torch/train/task.h"

namespace asmlp::train {

std::vector<int64_t> spread(int64_t total, int64_t count) {
  std::vector<int64_t> places;
  count = std::min(total, count);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = i * total / count, end = (i + 1) * total / count;
    // Multiples of the golden ratio, modulo 1, keep their distance from one another.
    const double part = std::fmod(0.5 + 0.6180339887 * double(i), 1.0);
    places.push_back(begin + static_cast<int64_t>(part * double(end - begin)));
  }
  return places;
}

void draw_guarded(const std::string& what, const std::function<void()>& draw) {
  static std::mutex mutex;
  static std::set<std::string> warned;
  try {
    draw();
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex);
    if (!warned.insert(what).second) return;
    log_message(LogLevel::kWarning, fmt::format("{}: not drawn, the training goes on: {}", what,
                                                explain_exception(error).message));
  }
}

Image input_image(const torch::Tensor& input, int64_t height, int64_t width,
                  std::span<const double> mean, std::span<const double> deviation, double white) {
  const torch::Tensor part =
      input.narrow(1, 0, height).narrow(2, 0, width).to(torch::kCPU, torch::kFloat32).contiguous();
  return denormalize({part.data_ptr<float>(), static_cast<size_t>(part.numel())},
                     static_cast<int>(height), static_cast<int>(width), mean, deviation, white);
}

void SampleSheet::add(const TrainingTask& task, const data::Batch& batch) {
  const int64_t missing = wanted_ - std::ssize(tiles_);
  if (missing <= 0) return;
  draw_guarded("the training samples", [&] {
    const torch::NoGradGuard no_grad;
    for (Tile& tile : task.sample_tiles(batch, std::min(missing, batch.size()))) {
      tiles_.push_back(std::move(tile));
    }
  });
}

std::optional<Picture> SampleSheet::take() {
  wanted_ = 0;
  if (tiles_.empty()) return std::nullopt;
  std::optional<Picture> picture;
  draw_guarded("the training samples", [&] {
    picture = Picture{"samples", "Training samples",
                      fmt::format("The first {} images since the run was started, as the network "
                                  "saw them: augmented, normalized, and brought back to 8 bits.",
                                  tiles_.size()),
                      draw_tiles(tiles_)};
  });
  tiles_.clear();
  return picture;
}

}  // namespace asmlp::train
