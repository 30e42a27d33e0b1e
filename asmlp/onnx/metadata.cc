#include "asmlp/onnx/metadata.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "asmlp/model/description/visit_spec.h"

namespace asmlp {
namespace {

using Metadata = std::map<std::string, std::string>;

void add_preprocessing(Metadata& metadata, const Preprocessing& preprocessing) {
  metadata["size"] = fmt::format("{}", preprocessing.size);
  metadata["crop_pct"] = fmt::format("{}", preprocessing.crop_pct);
  metadata["interpolation"] = to_string(preprocessing.interpolation);
  metadata["scale"] = "255";
}

void add_preprocessing(Metadata& metadata, const DenseInput& input) {
  metadata["short_side"] = fmt::format("{}", input.short_side);
  metadata["long_side"] = fmt::format("{}", input.long_side);
  metadata["pad_multiple"] = fmt::format("{}", input.pad_multiple);
  metadata["interpolation"] = "bilinear";
  metadata["scale"] = "1";
}

}  // namespace

Metadata onnx_metadata(const Description& description, bool normalized) {
  Metadata metadata;
  metadata[kDescriptionKey] = to_json(description);
  metadata["task"] = name_of(description.task());
  metadata["name"] = description.name();
  metadata["normalization"] = normalized ? "in the graph" : "before the graph";
  metadata["classes"] = nlohmann::json(description.classes()).dump();
  metadata["origin"] = nlohmann::json(description.origin()).dump();
  visit_spec(description, [&](const auto& spec) {
    const auto& preprocessing = spec.preprocessing;
    metadata["mean"] = fmt::format("{}", fmt::join(preprocessing.mean, ","));
    metadata["std"] = fmt::format("{}", fmt::join(preprocessing.std, ","));
    if (preprocessing.mean.size() == 3) metadata["channel_order"] = "RGB";
    add_preprocessing(metadata, preprocessing);
  });
  return metadata;
}

}  // namespace asmlp
