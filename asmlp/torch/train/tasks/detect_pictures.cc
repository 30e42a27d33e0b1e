#include "asmlp/torch/train/tasks/detect_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "asmlp/image/decode.h"
#include "asmlp/report/draw/curve_drawing.h"
#include "asmlp/report/draw/detection_drawing.h"
#include "asmlp/report/table.h"
#include "asmlp/torch/train/pictures.h"

namespace asmlp::train {
namespace {

constexpr int kObjectPanel = 320;  // longer side in pixels, about
constexpr size_t kMostObjects = 30;

// Objects with the masks that they point to.
struct Objects {
  std::vector<DrawnObject> drawn;
  std::deque<MaskRle> masks;

  void add(std::array<float, 4> box, float score, int label, MaskRle mask) {
    const bool visible = mask.height > 0 && mask_area(mask) > 0;
    if (visible) masks.push_back(std::move(mask));
    drawn.push_back({box, score, label, visible ? &masks.back() : nullptr});
  }
};

// An image and its objects, drawn at the size of a panel.
Image object_panel(const Image& image, const Objects& objects,
                   const std::vector<std::string>& classes, ObjectText text) {
  const int longest = std::max(image.height, image.width);
  DetectionStyle style{.font = 11, .text = text};
  if (longest <= kObjectPanel) {
    style.factor = std::max(1, static_cast<int>(std::lround(double(kObjectPanel) / longest)));
    return draw_detections(image, objects.drawn, classes, style);
  }
  const Image small = panel_of(image, kObjectPanel);
  const float across = float(small.width) / float(image.width);
  const float down = float(small.height) / float(image.height);
  Objects scaled;
  for (const DrawnObject& object : objects.drawn) {
    const auto [x1, y1, x2, y2] = object.box;
    scaled.add({x1 * across, y1 * down, x2 * across, y2 * down}, object.score, object.label,
               object.mask ? scaled_mask(*object.mask, small.height, small.width) : MaskRle());
  }
  return draw_detections(small, scaled.drawn, classes, style);
}

// The masks of a sample in training are as large as the padded image; cut to the image.
MaskRle mask_of(const torch::Tensor& mask, int64_t height, int64_t width) {
  const torch::Tensor part = mask.narrow(0, 0, height).narrow(1, 0, width).contiguous();
  return encode_mask({{part.data_ptr<uint8_t>(), static_cast<size_t>(part.numel())},
                      static_cast<int>(height),
                      static_cast<int>(width)});
}

std::string objects_text(size_t count) {
  return fmt::format("{} object{}", count, count == 1 ? "" : "s");
}

Objects truth_of(const CocoAnnotations& annotations, int image) {
  Objects objects;
  for (const int index : annotations.of_image(image)) {
    const CocoAnnotation& one = annotations.annotations[size_t(index)];
    if (one.crowd) continue;  // a region, no object
    const auto [x, y, width, height] = one.box;
    objects.add({float(x), float(y), float(x + width), float(y + height)}, 0, one.label,
                one.has_outline() ? coco_mask(one, annotations.images[size_t(image)]) : MaskRle());
  }
  return objects;
}

// `detections` are by image and falling score.
Objects found_on(const std::vector<CocoDetection>& detections, int image) {
  Objects objects;
  const auto begin = std::ranges::lower_bound(detections, image, {}, &CocoDetection::image);
  const auto end =
      std::ranges::upper_bound(begin, detections.end(), image, {}, &CocoDetection::image);
  for (auto d = begin; d != end && objects.drawn.size() < kMostObjects; ++d) {
    if (d->score < kDrawnScore) break;
    const auto [x, y, width, height] = d->box;
    objects.add({float(x), float(y), float(x + width), float(y + height)}, float(d->score),
                d->label, d->mask);
  }
  return objects;
}

Tile prediction_tile_of(const std::filesystem::path& folder, const CocoAnnotations& annotations,
                        const std::vector<CocoDetection>& detections, int image,
                        const std::vector<std::string>& classes) {
  const CocoImage& record = annotations.images[size_t(image)];
  const std::string& name = record.file_name;
  const Image picture = decode_labeled_image(folder / name, record.height, record.width,
                                             {.style = PixelStyle::kOpenCv});
  const Objects truth = truth_of(annotations, image), found = found_on(detections, image);
  return {.panels = {object_panel(picture, truth, classes, ObjectText::kName),
                     object_panel(picture, found, classes, ObjectText::kNameAndScore)},
          .headings = {"ground truth: " + objects_text(truth.drawn.size()),
                       "prediction: " + objects_text(found.drawn.size())},
          .lines = {{name, "", kLight.muted}}};
}

}  // namespace

std::vector<Tile> detect_samples(const data::Batch& batch, int64_t count, const DenseInput& input,
                                 const std::vector<std::string>& classes) {
  std::vector<Tile> tiles;
  for (int64_t i = 0; i < std::min(count, batch.size()); ++i) {
    const data::ImageInfo& info = batch.infos[size_t(i)];
    const Image image =
        input_image(batch.images[i], info.height, info.width, input.mean, input.std, 1);
    Objects objects;
    const torch::Tensor boxes = info.boxes.contiguous(), labels = info.labels.contiguous();
    for (int64_t k = 0; k < boxes.size(0); ++k) {
      const float* box = boxes.data_ptr<float>() + 4 * k;
      const int64_t row = info.masks.defined() ? info.mask_rows[k].item<int64_t>() : -1;
      objects.add({box[0], box[1], box[2], box[3]}, 0,
                  static_cast<int>(labels.data_ptr<int64_t>()[k]),
                  row >= 0 ? mask_of(info.masks[row], info.height, info.width) : MaskRle());
    }
    tiles.push_back({.panels = {object_panel(image, objects, classes, ObjectText::kName)},
                     .lines = {{fmt::format("{} x {} pixels, {}", info.width, info.height,
                                            objects_text(objects.drawn.size())),
                                "", kLight.muted}}});
  }
  return tiles;
}

std::vector<Picture> detect_pictures(const std::filesystem::path& folder,
                                     const CocoAnnotations& annotations,
                                     const detect::CocoEvaluation& evaluation, int64_t count,
                                     const std::vector<std::string>& classes) {
  std::vector<Picture> pictures;
  draw_guarded("the predictions", [&] {
    std::vector<Tile> tiles;
    for (const int64_t image : spread(std::ssize(annotations.images), count)) {
      draw_guarded("a validation image", [&] {
        tiles.push_back(prediction_tile_of(folder, annotations, evaluation.detections,
                                           static_cast<int>(image), classes));
      });
    }
    if (tiles.empty()) return;
    pictures.push_back(
        {"predictions", "Predictions",
         fmt::format("{} of {} validation images: the annotated objects, and those found with a "
                     "score of {} or more (at most {} an image).",
                     tiles.size(), group_digits(std::ssize(annotations.images)), kDrawnScore,
                     kMostObjects),
         draw_tiles(tiles, 1360)});
  });
  draw_guarded("the precision-recall curves", [&] {
    std::vector<CurvePanel> panels{{"Boxes", evaluation.box}};
    if (evaluation.mask && !evaluation.mask->curves.empty()) {
      panels.push_back({"Masks", *evaluation.mask});
    }
    if (evaluation.box.curves.empty()) return;
    pictures.push_back({"pr_curve", "Precision and recall",
                        "COCO's precision at 101 recalls, of all sizes and at most 100 detections "
                        "an image. The numbers are the areas below the curves: AP.",
                        precision_recall_picture(panels, classes)});
  });
  return pictures;
}

}  // namespace asmlp::train
