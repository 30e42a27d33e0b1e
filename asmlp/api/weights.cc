// Weights as plain arrays.
#include "asmlp/weights.hpp"

#include "asmlp/api/load_options.h"
#include "asmlp/core/error.h"
#include "asmlp/model/description/visit_spec.h"
#include "asmlp/weights/model_file.h"
#include "asmlp/weights/unwrap.h"

namespace asmlp {
namespace {

ModelFileOptions file_options(const WeightOptions& options) {
  ModelFileOptions result;
  result.shift_size = chosen_shift(options.shift_h, options.shift_w);
  if (!options.config.empty()) {
    result.description = description_from_json(options.config, "config");
  }
  return result;
}

// The reader refuses detectors and segmentors that do not say their shift size; here, as in
// load_model, they have that of the config, else the usual one, and a note.
ModelFile model_of(const WeightFile& weights, const WeightOptions& options) {
  ModelFileOptions load = file_options(options);
  const bool assumed =
      !load.shift_size && !weights.description() && weights.task() != Task::kClassify;
  if (assumed) {
    load.shift_size = load.description ? load.description->shift_size() : Config().shift_size;
  }
  ModelFile model = load_model_file(weights, load);
  if (load.description && load.description->origin().contains("source")) {
    // The config says where the weights come from; the reader writes the file's name there.
    const std::string source = load.description->origin().at("source");
    visit_spec(model.description, [&](auto& spec) { spec.origin["source"] = source; });
  }
  if (assumed && !load.description) model.notes.push_back(assumed_shift_note(*load.shift_size));
  return model;
}

}  // namespace

Weights load_weights(const std::filesystem::path& file, const WeightOptions& options) {
  ModelFile model = model_of(read_weights(file), options);
  dequantize(model);
  Weights result;
  result.description = to_json(model.description);
  result.notes = std::move(model.notes);
  result.tensors.reserve(model.tensors.size());
  for (const auto& [name, tensor] : model.tensors) {
    result.tensors.push_back({name, tensor.shape, to_f32(tensor)});
    release_pages(tensor);
  }
  return result;
}

std::vector<std::string> save_weights(const std::filesystem::path& file,
                                      const std::vector<WeightView>& tensors,
                                      const WeightOptions& options) {
  require(file.extension() == ".safetensors", ErrorCode::kInvalidArgument,
          "{}: the output's name must end in .safetensors", file.string());
  WeightFile weights;
  weights.path = file;
  for (const WeightView& view : tensors) {
    const auto count = static_cast<size_t>(element_count(view.shape));
    require(view.values != nullptr || count == 0, ErrorCode::kInvalidArgument,
            "tensor '{}' is a null pointer", view.name);
    Tensor tensor;
    tensor.shape = view.shape;
    tensor.bytes = std::as_bytes(std::span(view.values, count));
    require(weights.tensors.emplace(view.name, tensor).second, ErrorCode::kInvalidArgument,
            "tensor '{}' is given twice", view.name);
  }
  weights.tensors = unwrapped(std::move(weights.tensors), file.string(), weights.notes);
  ModelFile model = model_of(weights, options);
  save_model_file(file, model);
  return model.notes;
}

}  // namespace asmlp
