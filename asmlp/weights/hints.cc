#include "asmlp/weights/hints.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace asmlp {
namespace {

using Json = nlohmann::json;

// Python's way to print a value, read as JSON: (96, 64), [2, 1], True, 7, 2.0; else text.
Json value_of_text(std::string text) {
  if (text.size() > 4096) return text;
  std::string json = text;
  std::replace(json.begin(), json.end(), '(', '[');
  std::replace(json.begin(), json.end(), ')', ']');
  if (json == "True") json = "true";
  if (json == "False") json = "false";
  Json value = Json::parse(json, nullptr, false);
  return value.is_discarded() || value.is_object() ? Json(std::move(text)) : value;
}

// The child `key` of an object; null when there is none.
const Json& child(const Json& json, const char* key) {
  static const Json kNull;
  if (!json.is_object()) return kNull;
  const auto found = json.find(key);
  return found == json.end() ? kNull : *found;
}

// MODEL.SHIFT_SIZE or MODEL.<any section>.SHIFT_SIZE.
const Json& find_shift_size(const Json& model) {
  static const Json kNull;
  if (child(model, "SHIFT_SIZE").is_number()) return model["SHIFT_SIZE"];
  if (!model.is_object()) return kNull;
  for (const Json& section : model) {
    if (child(section, "SHIFT_SIZE").is_number()) return section["SHIFT_SIZE"];
  }
  return kNull;
}

// The 5 of "asmlp_tiny_patch4_shift5_224", null for other names.
Json shift_size_of_name(const std::string& name) {
  const size_t at = name.find("_shift");
  int size = 0;
  if (at == std::string::npos) return nullptr;
  const char* begin = name.data() + at + 6;
  const auto result = std::from_chars(begin, name.data() + name.size(), size);
  return result.ec == std::errc() ? Json(size) : Json(nullptr);
}

Hints make_hints(const Json& fields, const std::string& what, std::string source) {
  Hints hints;
  hints.source = std::move(source);
  for (const auto& [key, value] : fields.items()) {
    hints.given.insert(key == "drop_path_rate" ? "drop_path" : key);
  }
  const std::string text = fields.dump(-1, ' ', true, Json::error_handler_t::replace);
  hints.spec = spec_from_json(text, what + ": " + hints.source);
  return hints;
}

}  // namespace

Hints hints_from_metadata(const std::map<std::string, std::string>& metadata,
                          const std::string& what) {
  Json fields = Json::object();
  for (const char* key : {"in_chans", "num_classes", "embed_dim", "depths", "patch_size",
                          "mlp_ratio", "shift_size", "dilation", "padding", "connection",
                          "patch_norm", "drop_path", "drop_path_rate", "img_size"}) {
    const auto found = metadata.find(key);
    if (found != metadata.end()) fields[key] = value_of_text(found->second);
  }
  const auto name = metadata.find("name");
  if (name != metadata.end()) fields["name"] = name->second;
  return make_hints(fields, what, "its __metadata__");
}

Hints hints_from_training_config(const std::string& config_json, const std::string& what) {
  const Json config = Json::parse(config_json, nullptr, false);
  const Json& model = child(config, "MODEL");
  Json fields = Json::object();
  const auto take = [&](const char* field, std::initializer_list<const Json*> candidates,
                        auto fits) {
    for (const Json* candidate : candidates) {
      if (!fields.contains(field) && fits(*candidate)) fields[field] = *candidate;
    }
  };
  const auto is_text = [](const Json& json) { return json.is_string(); };
  const auto is_number = [](const Json& json) { return json.is_number(); };
  take("name", {&child(model, "NAME"), &child(config, "model"), &child(config, "name")}, is_text);
  take("drop_path",
       {&child(model, "DROP_PATH_RATE"), &child(config, "drop_path"),
        &child(config, "drop_path_rate")},
       is_number);
  take("img_size", {&child(child(config, "DATA"), "IMG_SIZE"), &child(config, "img_size")},
       is_number);
  take("shift_size", {&find_shift_size(model), &child(config, "shift_size")}, is_number);
  if (fields.contains("name") && !fields.contains("shift_size")) {
    Json shift_size = shift_size_of_name(fields["name"].get<std::string>());
    if (!shift_size.is_null()) fields["shift_size"] = std::move(shift_size);
  }
  return make_hints(fields, what, "its training config");
}

}  // namespace asmlp
