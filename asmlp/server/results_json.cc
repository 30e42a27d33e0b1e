#include "asmlp/server/results_json.h"

#include <fmt/format.h>

#include "asmlp/dataset/coco/detection_record.h"
#include "asmlp/engine/heads/detector.h"
#include "asmlp/engine/heads/segmentor.h"
#include "asmlp/image/labels/label_png.h"
#include "asmlp/metrics/topk.h"
#include "asmlp/model/origin_number.h"
#include "asmlp/report/draw/segmentation_drawing.h"
#include "asmlp/server/protocol/base64.h"

namespace asmlp::server {
namespace {

std::vector<Color> colors_of(const Model& model) {
  const SegmentorSpec& spec = model.segmentor()->spec();
  return class_colors(spec.config.num_classes, spec.classes, spec.palette);
}

Image label_image(const Work& work) {
  Image labels(work.height, work.width, 1);
  labels.pixels = work.labels;
  return labels;
}

}  // namespace

std::string to_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json predict_entry(const Model& model, const std::string& file, const Work& work, int k) {
  const std::vector<float> probabilities = softmax(work.logits);
  Json list = Json::array();
  for (const int index : top_k(work.logits, k)) {
    const auto at = static_cast<size_t>(index);
    list.push_back(
        {{"index", index}, {"label", model.info().classes[at]}, {"prob", probabilities[at]}});
  }
  Json entry{{"file", file}, {"predictions", std::move(list)}};
  if (const auto typical = origin_number(model.packed()->spec().origin, kTypicalScoreKey)) {
    entry["unsure"] = !(entry["predictions"].front()["prob"].get<float>() >= *typical);
  }
  return entry;
}

Json detect_entry(const Model& model, const std::string& file, int position, const Work& work,
                  double threshold, bool masks) {
  const DetectorSpec& spec = model.detector()->spec();
  CocoAnnotations ids;
  ids.categories = categories_of(spec.classes, spec.config.num_classes);
  ids.images.push_back({position + 1, file, work.height, work.width});
  Json entry{{"id", position + 1}, {"file", file}, {"height", work.height}, {"width", work.width}};
  Json& list = entry["detections"] = Json::array();
  for (const Detection& d : work.detections) {
    if (d.score < threshold) continue;
    CocoDetection record{
        0, d.label, double{d.score}, {d.x1, d.y1, double{d.x2} - d.x1, double{d.y2} - d.y1}, {}};
    if (masks) record.mask = {d.mask.height, d.mask.width, d.mask.counts};
    Json json = coco_record(ids, record);
    json["label"] = d.name;
    if (has_masks(spec.config.kind)) json["area"] = mask_area(d.mask);
    list.push_back(std::move(json));
  }
  return entry;
}

std::string label_png(const Model& model, const Work& work) {
  const std::vector<uint8_t> png = encode_label_png(label_image(work), colors_of(model));
  return {png.begin(), png.end()};
}

Json segment_entry(const Model& model, const std::string& file, const Work& work) {
  const std::vector<Color> colors = colors_of(model);
  Json classes = Json::array();
  for (const ClassArea& area : class_areas(label_image(work))) {
    const auto at = static_cast<size_t>(area.index);
    classes.push_back({{"index", area.index},
                       {"label", model.info().classes.at(at)},
                       {"pixels", area.pixels},
                       {"share", area.share},
                       {"color", fmt::format("#{:02x}{:02x}{:02x}", colors.at(at).r,
                                             colors.at(at).g, colors.at(at).b)}});
  }
  return {{"file", file},
          {"width", work.width},
          {"height", work.height},
          {"label_map", encode_base64(label_png(model, work))},
          {"classes", std::move(classes)}};
}

}  // namespace asmlp::server
