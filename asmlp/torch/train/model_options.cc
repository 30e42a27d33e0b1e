#include "asmlp/torch/train/model_options.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "asmlp/core/error.h"
#include "asmlp/model/description/description_json.h"
#include "asmlp/schema/fields.h"
#include "asmlp/schema/text.h"
#include "asmlp/weights/model_file.h"

namespace asmlp::train {
namespace {

namespace fs = std::filesystem;

bool has_weight_extension(const fs::path& path) {
  const std::string extension = path.extension().string();
  return std::ranges::any_of(std::array{".safetensors", ".pth", ".pt", ".bin", ".ckpt"},
                             [&](const char* known) { return extension == known; });
}

// "cat, dog, ... (37 classes)".
std::string first_classes(const std::vector<std::string>& classes) {
  constexpr size_t kShown = 4;
  const std::vector<std::string> first(classes.begin(),
                                       classes.begin() + std::min(kShown, classes.size()));
  return fmt::format("{}{}", fmt::join(first, ", "), classes.size() > kShown ? ", ..." : "");
}

}  // namespace

ModelChoice::ModelChoice(const std::string& text) {
  if (text.starts_with('{')) {
    description = json_from_text(text, "model");
  } else {
    name = text;
  }
}

bool ModelChoice::is_weight_file() const {
  std::error_code ignored;
  return !name.empty() && !is_json_or_yaml(name) && fs::is_regular_file(name, ignored);
}

Description ModelChoice::resolve(Task task) const {
  if (!description.is_null()) return read_description_of(description, "model", task);
  if (!is_weight_file()) {
    require(!has_weight_extension(name) || is_zoo_name(name), ErrorCode::kNotFound,
            "{}: no such file of weights", name);
    return resolve_description(name, task);
  }
  ModelFile file = load_model_file(name);
  dequantize(file);  // what is trained has weights in fp32
  const Description& found = file.description;
  require(
      found.task() == task, ErrorCode::kMismatch,
      "{} is a {}, not a {}: a {} can start from its backbone, with --initial-checkpoint {} and "
      "--model naming a {} of the same backbone (the default one where it is left out)",
      name, model_kind(found.task()), model_kind(task), model_kind(task), name, model_kind(task));
  return found;
}

std::vector<std::string> take_weight_file(ModelOptions& options) {
  if (!options.choice.is_weight_file()) {
    // Says so now if the file is not there.
    if (has_weight_extension(options.choice.name)) options.choice.resolve(options.task);
    return {};
  }
  const std::string file = options.choice.name;
  const Description found = options.choice.resolve(options.task);
  std::vector<std::string> notes{fmt::format(
      "{}: {} of {} classes{}", file,
      found.name().empty() ? std::string("a ") + model_kind(found.task()) : found.name(),
      found.num_classes(),
      found.classes().empty() ? "" : " (" + first_classes(found.classes()) + ")")};
  nlohmann::json description = write_json(found);
  // Those of the data come in their place.
  for (const char* key : {"classes", "palette", "origin"}) description.erase(key);
  if (auto reading = description.find("preprocessing"); reading != description.end()) {
    reading->erase("exif");
  }
  if (auto config = description.find("config"); config != description.end()) {
    if (const auto weights = config->find("class_weights"); weights != config->end()) {
      if (!weights->empty()) {
        notes.push_back(file +
                        ": the class_weights of its training are left out; class-weights "
                        "gives others");
      }
      config->erase(weights);
    }
  }
  options.choice.name.clear();
  options.choice.description = std::move(description);
  if (options.initial_checkpoint.empty()) options.initial_checkpoint = file;
  return notes;
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
