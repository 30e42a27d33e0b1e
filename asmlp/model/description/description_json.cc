// Detectors, segmentors and descriptions of any task as JSON.
#include "asmlp/model/description/description_json.h"

#include "asmlp/core/error.h"
#include "asmlp/model/config_fields.h"
#include "asmlp/model/zoo.h"
#include "asmlp/schema/fields.h"
#include "asmlp/schema/text.h"
#include "asmlp/schema/yaml.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

template <typename Spec>
Spec read_dense(Json json, const std::string& what, Task task,
                Spec (*zoo_model)(const std::string&)) {
  require_object(json, what);
  if (json.contains("task")) {
    Task said{};
    read_json(json["task"], said, what + ": task");
    require(said == task, ErrorCode::kUnsupported, "{}: describes a {}; a {} is needed here", what,
            model_kind(said), model_kind(task));
    json.erase("task");
  }
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

template <typename Spec>
OrderedJson write_dense(const Spec& spec, Task task) {
  OrderedJson json{{"task", to_string(task)}};
  json.update(fields_to_json(spec));
  return json;
}

// The task of a description that does not name it: by the zoo's model it begins with, or by the
// parts that only one kind of network has.
Task shown_task(const Json& json, std::optional<Task> otherwise) {
  if (json.contains("model") && json["model"].is_string()) {
    const std::string name = json["model"].get<std::string>();
    for (const Task task : {Task::kDetect, Task::kSegment}) {
      const std::vector<std::string> names = model_names(task);
      if (std::find(names.begin(), names.end(), name) != names.end()) return task;
    }
  }
  const Json config = json.value("config", Json::object());
  for (const char* key : {"decode_head", "auxiliary_head", "ignore_label"}) {
    if (config.contains(key)) return Task::kSegment;
  }
  for (const char* key : {"rpn", "roi", "box_head", "mask_head", "stages", "fpn_channels"}) {
    if (config.contains(key)) return Task::kDetect;
  }
  return otherwise.value_or(config.contains("backbone") ? Task::kDetect : Task::kClassify);
}

template <typename Spec>
std::string text_of(const Spec& spec, const std::string& name) {
  try {
    return write_json(spec).dump();
  } catch (const nlohmann::json::exception&) {
    fail(ErrorCode::kInvalidArgument,
         "model '{}': its name, a class name or its origin is not valid UTF-8", name);
  }
}

// A JSON object in text, or a JSON or YAML file; nothing for a name.
std::optional<Json> described_by_user(const std::string& model) {
  if (model.starts_with('{')) return json_from_text(model, "model");
  if (is_json_or_yaml(model)) return json_from_file(model);
  return std::nullopt;
}

std::string source_of(const std::string& model) { return model.starts_with('{') ? "model" : model; }

// A mask_head in the config of a detector that has none would be an unknown key: says more.
void check_mask_head(const Json& json, const std::string& what) {
  const auto config = json.is_object() ? json.find("config") : json.end();
  if (config == json.end() || !config->is_object()) return;
  const Json* head = find_field(*config, "mask_head", {}, what + ": config");
  if (head == nullptr) return;
  require(!head->is_null(), ErrorCode::kInvalidArgument,
          "{}: config: mask_head is null; leave it out and say 'kind': 'faster_rcnn' or "
          "'cascade_rcnn', the detectors of boxes only",
          what);
  DetectorKind kind{};
  if (const Json* said = find_field(*config, "kind", {}, what + ": config")) {
    read_json(*said, kind, what + ": config: kind");
  } else if (json.contains("model") && json["model"].is_string()) {
    kind = zoo_detector(json["model"].get<std::string>()).config.kind;
  }
  require(has_masks(kind), ErrorCode::kInvalidArgument,
          "{}: config: a detector of kind '{}' finds boxes only and has no mask_head; leave it "
          "out, or say 'kind': '{}'",
          what, name_of(kind), is_cascade(kind) ? "cascade" : "mask_rcnn");
}

}  // namespace

DetectorSpec read_detector(Json json, const std::string& what) {
  check_mask_head(json, what);
  return read_dense<DetectorSpec>(std::move(json), what, Task::kDetect, zoo_detector);
}

SegmentorSpec read_segmentor(Json json, const std::string& what) {
  return read_dense<SegmentorSpec>(std::move(json), what, Task::kSegment, zoo_segmentor);
}

Description read_description(Json json, const std::string& what, std::optional<Task> task) {
  require_object(json, what);
  Task chosen = shown_task(json, task);
  if (json.contains("task")) read_json(json["task"], chosen, what + ": task");
  switch (chosen) {
    case Task::kDetect:
      return {read_detector(std::move(json), what)};
    case Task::kSegment:
      return {read_segmentor(std::move(json), what)};
    case Task::kClassify:
      break;
  }
  return {read_architecture(std::move(json), what)};
}

OrderedJson write_json(const DetectorSpec& spec) { return write_dense(spec, Task::kDetect); }
OrderedJson write_json(const SegmentorSpec& spec) { return write_dense(spec, Task::kSegment); }
OrderedJson write_json(const Description& description) {
  return std::visit([](const auto& model) { return write_json(model); }, description.model);
}

std::string to_json(const ModelSpec& spec) {
  return text_of(Architecture{spec, AsMlpFamily{}}, spec.name);
}
std::string to_json(const Architecture& architecture) {
  return text_of(architecture, architecture.spec.name);
}
std::string to_json(const DetectorSpec& spec) { return text_of(spec, spec.name); }
std::string to_json(const SegmentorSpec& spec) { return text_of(spec, spec.name); }
std::string to_json(const Description& description) {
  return text_of(description, description.name());
}

namespace {

// AS-MLP proper; baselines read as one would give wrong numbers.
ModelSpec as_mlp_only(Architecture architecture, const std::string& what) {
  require(is_as_mlp(architecture), ErrorCode::kUnsupported,
          "{}: '{}' is a baseline, which only training with LibTorch knows (`asmlp train`, `asmlp "
          "study`); everything else runs AS-MLP",
          what, architecture.spec.name);
  return std::move(architecture.spec);
}

}  // namespace

ModelSpec spec_from_json(const std::string& text, const std::string& what) {
  return as_mlp_only(architecture_from_json(text, what), what);
}
ModelSpec spec_from_yaml(const std::string& text, const std::string& what) {
  return as_mlp_only(architecture_from_yaml(text, what), what);
}
ModelSpec load_spec(const std::filesystem::path& path) {
  return as_mlp_only(read_architecture(json_from_file(path), path.string()), path.string());
}

Architecture architecture_from_json(const std::string& text, const std::string& what) {
  return read_architecture(json_from_text(text, what), what);
}
Architecture architecture_from_yaml(const std::string& text, const std::string& what) {
  return read_architecture(json_from_yaml(text, what), what);
}
DetectorSpec detector_from_json(const std::string& text, const std::string& what) {
  return read_detector(json_from_text(text, what), what);
}
SegmentorSpec segmentor_from_json(const std::string& text, const std::string& what) {
  return read_segmentor(json_from_text(text, what), what);
}
Description description_from_json(const std::string& text, const std::string& what,
                                  std::optional<Task> task) {
  return read_description(json_from_text(text, what), what, task);
}

Architecture resolve_architecture(const std::string& model) {
  return std::get<Architecture>(resolve_description(model, Task::kClassify).model);
}
DetectorSpec resolve_detector(const std::string& model) {
  return std::get<DetectorSpec>(resolve_description(model, Task::kDetect).model);
}
SegmentorSpec resolve_segmentor(const std::string& model) {
  return std::get<SegmentorSpec>(resolve_description(model, Task::kSegment).model);
}

Description resolve_description(const std::string& model, std::optional<Task> task) {
  std::optional<Json> json = described_by_user(model);
  if (!json) return named_description(model, task);
  return task ? read_description_of(std::move(*json), source_of(model), *task)
              : read_description(std::move(*json), source_of(model));
}

Description read_description_of(Json json, const std::string& what, Task task) {
  Description description = read_description(std::move(json), what, task);
  require(description.task() == task, ErrorCode::kUnsupported,
          "{}: describes a {}; a {} is needed here", what, model_kind(description.task()),
          model_kind(task));
  return description;
}

}  // namespace asmlp
