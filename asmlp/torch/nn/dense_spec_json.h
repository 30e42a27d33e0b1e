// The JSON of a DenseSpec, for the source files that define it for their config.
#pragma once

#include <filesystem>

#include "asmlp/core/atomic_file.h"
#include "asmlp/model/spec_text.h"
#include "asmlp/torch/nn/dense_spec.h"
#include "asmlp/torch/nn/fields_json.h"

namespace asmlp::nn {

template <typename ModelConfig>
std::string dense_spec_to_json(const DenseSpec<ModelConfig>& spec) {
  try {
    return fields_to_json(spec).dump();
  } catch (const nlohmann::json::exception&) {
    fail(ErrorCode::kInvalidArgument,
         "model '{}': its name, a class name or its origin is not valid UTF-8", spec.name);
  }
}

// {"name", "config", "preprocessing", "classes", "origin"}, of which what is left out is
// `zoo_model(name)`'s for a {"model": name, ...}, else the default; "config" with its "backbone"
// can only be left out with a "model". Error(kInvalidArgument) for anything that is wrong.
template <typename Spec>
Spec dense_spec_from_json(const std::string& text, const std::string& what,
                          Spec (*zoo_model)(const std::string&)) {
  nlohmann::json json = json_from_text(text, what);
  require_object(json, what);
  Spec spec;
  if (json.contains("model")) {
    std::string model;
    read_json(json["model"], model, what + ": model");
    spec = zoo_model(model);
    json.erase("model");
  } else {
    require(json.contains("config") && json["config"].is_object() &&
                json["config"].contains("backbone"),
            ErrorCode::kInvalidArgument,
            "{}: has neither a 'model' of the zoo nor a 'config' with its 'backbone'", what);
  }
  read_json(json, spec, what);
  try {
    validate(spec);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", what, error.what()));
  }
  return spec;
}

// What a user names as a model: a description in a file (.json, .yaml, .yml) or in text (it begins
// with '{'), read by `from_json`, else a name of the zoo.
template <typename Spec>
Spec resolve_dense_spec(const std::string& model,
                        Spec (*from_json)(const std::string&, const std::string&),
                        Spec (*zoo_model)(const std::string&)) {
  if (model.starts_with('{')) return from_json(model, "model");
  const std::string extension = std::filesystem::path(model).extension().string();
  if (extension == ".json") return from_json(read_file(model, kMaxSpecBytes), model);
  if (extension == ".yaml" || extension == ".yml") {
    return from_json(json_from_yaml(read_file(model, kMaxYamlBytes), model).dump(), model);
  }
  return zoo_model(model);
}

// The checks that the specs share; `validate(config)` are the model's own.
template <typename ModelConfig>
void validate_dense_spec(const DenseSpec<ModelConfig>& spec) {
  validate(spec.config);
  validate(spec.preprocessing, spec.config.backbone.in_chans);
  require(spec.classes.empty() || static_cast<int>(spec.classes.size()) == spec.config.num_classes,
          ErrorCode::kInvalidArgument,
          "classes: {} names for {} classes (num_classes); give one name per class or none",
          spec.classes.size(), spec.config.num_classes);
}

}  // namespace asmlp::nn
