// What an ONNX file says about its model.
#pragma once

#include <map>
#include <string>

#include "asmlp/model/description/description.h"

namespace asmlp {

// metadata_props of a model's file. "asmlp" is the whole description as JSON (description.h); the
// other keys are for programs that want a value without looking into it: "task", "name",
// "channel_order", "classes" and "origin" (JSON), "mean" and "std" (numbers with commas, of pixels
// divided by "scale"), and for classifiers "size", "crop_pct", "interpolation", for detectors and
// segmentors "short_side", "long_side", "pad_multiple". `normalized` says whether the graph itself
// does what mean and std are for: "normalization" is "in the graph" or "before the graph".
std::map<std::string, std::string> onnx_metadata(const Description& description, bool normalized);

}  // namespace asmlp
