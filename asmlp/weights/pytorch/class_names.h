// The names of a model's classes as other projects' files hold them. Inside the weights layer only.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "asmlp/model/palette_color.h"
#include "asmlp/weights/pytorch/pickle.h"

namespace asmlp {

struct ClassNames {
  std::vector<std::string> names;     // empty where the file has none
  std::vector<PaletteColor> palette;  // empty, or a color per name
  std::string place;                  // "meta.CLASSES", for messages
};

// Looks in a checkpoint's "meta" (mmdetection, mmsegmentation: CLASSES, PALETTE, or dataset_meta
// with classes, palette), in the checkpoint itself, and in its config, for CLASSES, classes,
// class_names, categories, names, labels, id2label, idx_to_class, or class_to_idx. A list of texts,
// or a dict between names and the indices 0, 1, ... What is of another form is passed over.
ClassNames class_names_of(const Pickle& pickle, const PickleValue& root);

// The same for a safetensors file's __metadata__, whose values are JSON in text, or a JSON document
// (config.json of a Hugging Face folder).
ClassNames class_names_of(const nlohmann::json& json);
ClassNames class_names_of(const std::map<std::string, std::string>& metadata);

}  // namespace asmlp
