// Results as the commands' --json has them, to the bit: the entries of the list "images".
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "asmlp/asmlp.hpp"
#include "asmlp/image/labels/color.h"
#include "asmlp/server/served_model.h"

namespace asmlp::server {

using Json = nlohmann::ordered_json;

// The text of a document; what is no UTF-8 gets replacement characters.
std::string to_text(const Json& json);

// `asmlp predict`: {"file", "predictions": [{"index", "label", "prob"}]} of the top_k classes, and
// "unsure" of a calibrated model.
Json predict_entry(const Model& model, const std::string& file, const Work& work, int top_k);

// `asmlp detect`: {"id", "file", "height", "width", "detections": [...]} with what scores at least
// `threshold`; `position` counts from 0. Without `masks`, detections have no "segmentation".
Json detect_entry(const Model& model, const std::string& file, int position, const Work& work,
                  double threshold, bool masks);

// `asmlp segment`: {"file", "width", "height", "label_map", "classes": [{"index", "label",
// "pixels", "share", "color"}]}; the label map is the command's PNG file in base64.
Json segment_entry(const Model& model, const std::string& file, const Work& work);

// The bytes of that PNG file.
std::string label_png(const Model& model, const Work& work);

}  // namespace asmlp::server
