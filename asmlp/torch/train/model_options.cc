#include "asmlp/torch/train/model_options.h"

#include "asmlp/model/description/description_json.h"
#include "asmlp/schema/fields.h"
#include "asmlp/schema/text.h"

namespace asmlp::train {

ModelChoice::ModelChoice(const std::string& text) {
  if (text.starts_with('{')) {
    description = json_from_text(text, "model");
  } else {
    name = text;
  }
}

Description ModelChoice::resolve(Task task) const {
  return description.is_null() ? resolve_description(name, task)
                               : read_description_of(description, "model", task);
}

Exif ModelOptions::exif_of_data() const {
  if (exif) return *exif;
  nlohmann::json said = choice.description;
  if (said.is_null() && is_json_or_yaml(choice.name)) said = json_from_file(choice.name);
  if (said.is_object() && said.contains("preprocessing") && said["preprocessing"].is_object() &&
      said["preprocessing"].contains("exif")) {
    Exif value{};
    read_json(said["preprocessing"]["exif"], value, "model: preprocessing.exif");
    return value;
  }
  return Exif::kApply;
}

DecodeOptions ModelOptions::decoding() const {
  DecodeOptions decoding;
  decoding.exif = exif_of_data();
  return max_pixels ? with_max_pixels(decoding, *max_pixels) : decoding;
}

}  // namespace asmlp::train

namespace asmlp {

nlohmann::ordered_json Codec<train::ModelChoice>::write(const train::ModelChoice& value) {
  return value.description.is_null() ? nlohmann::ordered_json(value.name)
                                     : nlohmann::ordered_json(value.description);
}

void Codec<train::ModelChoice>::read(const nlohmann::json& json, train::ModelChoice& value,
                                     const std::string& where) {
  if (json.is_object()) {
    value.name.clear();
    value.description = json;
    return;
  }
  if (!json.is_string()) refuse_value(json, where, "a name or the description of a model");
  value = json.get<std::string>();
}

}  // namespace asmlp
