#include "asmlp/torch/train/tasks/segment_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "asmlp/image/preprocess.h"
#include "asmlp/metrics/segmentation.h"
#include "asmlp/model/spec.h"
#include "asmlp/report/draw/confusion_drawing.h"
#include "asmlp/report/draw/segmentation_drawing.h"
#include "asmlp/report/table.h"
#include "asmlp/torch/data/evaluate_loop.h"
#include "asmlp/torch/train/pictures.h"

namespace asmlp::train {
namespace {

constexpr int kLabelPanel = 288;  // longer side in pixels, about
constexpr double kOpacity = 0.6;

void add_legend(Tile& tile, const Image& labels, const std::vector<std::string>& classes,
                const std::vector<Color>& colors) {
  for (const ClassArea& area : class_areas(labels)) {
    if (size_t(area.index) >= colors.size()) continue;  // 255: no class
    const LegendEntry entry{class_label(classes, area.index), colors[size_t(area.index)]};
    if (std::ranges::find(tile.legend, entry) == tile.legend.end()) tile.legend.push_back(entry);
  }
}

Image label_panel(const Image& image, const Image& labels, const std::vector<Color>& colors) {
  return panel_of(overlay(image, labels, colors, kOpacity), kLabelPanel);
}

}  // namespace

std::vector<Tile> segment_samples(const data::Batch& batch, int64_t count, const DenseInput& input,
                                  const std::vector<std::string>& classes,
                                  const std::vector<Color>& colors) {
  std::vector<Tile> tiles;
  for (int64_t i = 0; i < std::min(count, batch.size()); ++i) {
    const data::ImageInfo& info = batch.infos[size_t(i)];
    const Image image =
        to_rgb(input_image(batch.images[i], info.height, info.width, input.mean, input.std, 1));
    Image labels(image.height, image.width, 1);
    const torch::Tensor map =
        batch.targets[i].narrow(0, 0, info.height).narrow(1, 0, info.width).contiguous();
    std::copy_n(map.data_ptr<uint8_t>(), labels.pixels.size(), labels.pixels.begin());
    Tile tile{.panels = {panel_of(image, kLabelPanel), label_panel(image, labels, colors)},
              .headings = {fmt::format("{} x {} pixels", info.width, info.height), "labels"}};
    add_legend(tile, labels, classes, colors);
    tiles.push_back(std::move(tile));
  }
  return tiles;
}

SegmentPictures::SegmentPictures(std::vector<std::string> classes, std::vector<Color> colors,
                                 int64_t images, int64_t count, const dist::World& world)
    : classes_(std::move(classes)),
      colors_(std::move(colors)),
      total_(images),
      draws_(world.rank() == 0),
      confusion_(static_cast<int>(classes_.size())) {
  if (draws_) shown_ = spread(images / world.size(), count);
}

void SegmentPictures::add(const Image& image, const Image& truth, const Image& predicted,
                          const std::string& name) {
  confusion_.add(truth.pixels, predicted.pixels);
  if (!std::ranges::binary_search(shown_, position_++)) return;
  draw_guarded("the predictions", [&] {
    const Image rgb = to_rgb(image);
    int64_t counted = 0, right = 0;
    for (size_t i = 0; i < truth.pixels.size(); ++i) {
      counted += truth.pixels[i] != kIgnoredLabel;
      right += truth.pixels[i] == predicted.pixels[i];
    }
    Tile tile{.panels = {label_panel(rgb, truth, colors_), label_panel(rgb, predicted, colors_)},
              .headings = {"ground truth",
                           counted == 0 ? std::string("prediction")
                                        : fmt::format("prediction: {:.1f} % of the pixels right",
                                                      100.0 * double(right) / double(counted))},
              .lines = {{name, "", kLight.muted}}};
    add_legend(tile, truth, classes_, colors_);
    add_legend(tile, predicted, classes_, colors_);
    tiles_.push_back(std::move(tile));
  });
}

std::vector<Picture> SegmentPictures::draw(dist::World& world) {
  confusion_ = ConfusionMatrix::from_sums(data::sums_of_all(world, confusion_.sums()));
  std::vector<Picture> pictures;
  if (!draws_) return pictures;
  draw_guarded("the predictions", [&] {
    if (tiles_.empty()) return;
    pictures.push_back({"predictions", "Predictions",
                        fmt::format("{} of {} validation images: the labels and the predicted "
                                    "classes over the image.",
                                    tiles_.size(), group_digits(total_)),
                        draw_tiles(tiles_)});
  });
  draw_guarded("the confusion matrix", [&] {
    pictures.push_back({"confusion", "Confusion matrix of the pixels",
                        confusion_.classes() > kMaxMatrixClasses
                            ? "Which classes were taken for which: pixels of the validation."
                            : "Of the pixels of each class (row), the percentage by predicted "
                              "class (column), over the whole validation.",
                        confusion_picture(confusion_, classes_, Counted::kPixels)});
  });
  return pictures;
}

}  // namespace asmlp::train
