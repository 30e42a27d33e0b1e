#include "asmlp/torch/train/tasks/class_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "asmlp/report/draw/confusion_drawing.h"
#include "asmlp/report/table.h"
#include "asmlp/torch/data/evaluate_loop.h"
#include "asmlp/torch/train/pictures.h"

namespace asmlp::train {
namespace {

// Image i of a batch. Small ones are enlarged, those of common sizes are as they are.
Image class_panel(const data::Batch& batch, int64_t i, const Preprocessing& p) {
  const std::vector<double> mean(p.mean.begin(), p.mean.end());
  const std::vector<double> deviation(p.std.begin(), p.std.end());
  const Image image = input_image(batch.images[i], batch.images.size(2), batch.images.size(3), mean,
                                  deviation, 255);
  return panel_of(image, image.width <= 160 ? 144 : std::min(image.width, 256));
}

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

// The names of a row of soft targets, the larger share first; the share is left out of a single
// one.
std::vector<TileLine> mixed_lines(std::span<const float> row,
                                  const std::vector<std::string>& classes, double smoothing) {
  const double elsewhere = smoothing / double(row.size());
  std::vector<std::pair<double, int>> shares;
  for (const int k : top_k(row, 2)) {
    const double share = (row[size_t(k)] - elsewhere) / (1 - smoothing);
    if (share > 0.005) shares.emplace_back(share, k);
  }
  std::vector<TileLine> lines;
  for (const auto& [share, k] : shares) {
    lines.push_back({class_label(classes, k), shares.size() > 1 ? percent(share) : ""});
  }
  return lines;
}

Tile prediction_tile(Image panel, std::span<const float> logits, int target,
                     const std::vector<std::string>& classes) {
  const int predicted = top_k(logits, 1).front();
  const bool right = predicted == target;
  const std::string probability = percent(double{softmax(logits)[size_t(predicted)]});
  Tile tile{.panels = {std::move(panel)}, .mark = right ? Mark::kRight : Mark::kWrong};
  tile.lines.push_back(
      {class_label(classes, predicted), probability, right ? kRightColor : kWrongColor, true});
  tile.lines.push_back({right ? "" : "is " + class_label(classes, target), "", kLight.muted});
  return tile;
}

}  // namespace

std::vector<Tile> class_samples(const data::Batch& batch, int64_t count,
                                const Preprocessing& preprocessing,
                                const std::vector<std::string>& classes, double smoothing) {
  std::vector<Tile> tiles;
  const torch::Tensor targets = batch.targets.to(torch::kCPU).contiguous();
  const bool mixed = targets.dim() == 2;
  for (int64_t i = 0; i < std::min(count, batch.size()); ++i) {
    Tile tile{.panels = {class_panel(batch, i, preprocessing)}};
    if (mixed) {
      const auto num_classes = static_cast<size_t>(targets.size(1));
      tile.lines = mixed_lines({targets.data_ptr<float>() + size_t(i) * num_classes, num_classes},
                               classes, smoothing);
    } else {
      tile.lines.push_back({class_label(classes, static_cast<int>(targets[i].item<int64_t>()))});
    }
    tiles.push_back(std::move(tile));
  }
  return tiles;
}

ClassPictures::ClassPictures(const Preprocessing& preprocessing, std::vector<std::string> classes,
                             int num_classes, int64_t images, int64_t count,
                             const dist::World& world)
    : preprocessing_(preprocessing),
      classes_(std::move(classes)),
      total_(images),
      draws_(world.rank() == 0) {
  if (draws_) shown_ = spread(images / world.size(), count);
  if (num_classes <= kMaxConfusionClasses) confusion_.emplace(num_classes);
}

void ClassPictures::add(const data::Batch& batch, const torch::Tensor& logits) {
  const auto classes = static_cast<size_t>(logits.size(1));
  const int64_t* targets = batch.targets.data_ptr<int64_t>();
  for (int64_t i = 0; i < logits.size(0); ++i, ++position_) {
    const std::span row(logits.data_ptr<float>() + size_t(i) * classes, classes);
    const int target = static_cast<int>(targets[i]);
    if (confusion_) confusion_->add(target, top_k(row, 1).front());
    if (!std::ranges::binary_search(shown_, position_)) continue;
    draw_guarded("the predictions", [&] {
      tiles_.push_back(
          prediction_tile(class_panel(batch, i, preprocessing_), row, target, classes_));
    });
  }
}

std::vector<Picture> ClassPictures::draw(dist::World& world) {
  if (confusion_) {
    confusion_ = ConfusionMatrix::from_sums(data::sums_of_all(world, confusion_->sums()));
  }
  std::vector<Picture> pictures;
  if (!draws_) return pictures;
  draw_guarded("the predictions", [&] {
    if (tiles_.empty()) return;
    pictures.push_back({"predictions", "Predictions",
                        fmt::format("{} of {} validation images: the predicted class and its "
                                    "probability. A red frame is a mistake.",
                                    tiles_.size(), group_digits(total_)),
                        draw_tiles(tiles_)});
  });
  draw_guarded("the confusion matrix", [&] {
    if (!confusion_) return;
    pictures.push_back({"confusion", "Confusion matrix",
                        confusion_->classes() > kMaxMatrixClasses
                            ? "Which classes were taken for which in the validation."
                            : "Validation images of each class (row) by predicted class (column).",
                        confusion_picture(*confusion_, classes_, Counted::kImages)});
  });
  return pictures;
}

}  // namespace asmlp::train
