// Classifiers as JSON: AS-MLP, its token mixers and the other families through one reader.
#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/model/baselines/architecture_zoo.h"
#include "asmlp/model/config_fields.h"
#include "asmlp/model/description/authors_config.h"
#include "asmlp/model/description/description_json.h"
#include "asmlp/schema/nearest.h"
#include "asmlp/schema/text.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;
using Family = decltype(Architecture::family);

constexpr const char* kAsMlp = "as_mlp";
constexpr const char* kAxialShift = "axial_shift";

template <typename T>
constexpr bool kHasOwnFields = requires {
  T::kFamily;
};

template <typename T>
std::string family_name(const T&) {
  if constexpr (kHasOwnFields<T>) {
    return T::kFamily;
  } else {
    return kAsMlp;
  }
}

// The "config" of a family: the fields of AS-MLP's Config, or its own and those that all have.
template <typename C, typename F>
struct FamilyConfig {
  C& common;
  F& own;
  static void visit(auto& self, auto&& field) {
    if constexpr (kHasOwnFields<std::remove_const_t<F>>) {
      F::visit(self.own, field);
      Config::visit(self.common, [&](const char* name, auto&& value, const FieldInfo& info = {}) {
        const std::string_view key = name;
        if (key == "in_chans" || key == "num_classes" || key == "drop_path") {
          field(name, value, info);
        }
      });
    } else {
      Config::visit(self.common, field);
    }
  }
};

// Takes `key` out of the object.
std::optional<Json> take(Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end()) return std::nullopt;
  std::optional<Json> value = std::move(*found);
  json.erase(key);
  return value;
}

std::optional<std::string> take_text(Json& json, const char* key, const std::string& what) {
  std::optional<Json> value = take(json, key);
  if (!value) return std::nullopt;
  std::string text;
  read_json(*value, text, what + ": " + key);
  return text;
}

// Leaves an alternative of the wanted family in `base`.
void choose_family(Json& json, Architecture& base, bool named, const std::string& what) {
  const auto wanted = take_text(json, "family", what);
  const auto name_of = [](const auto& family) { return family_name(family); };
  const std::string found = std::visit(name_of, base.family);
  if (!wanted || *wanted == found) return;
  std::vector<std::string> names;
  for (const Family& family : {Family(AsMlpFamily{}), Family(SwinConfig{}),
                               Family(MlpMixerConfig{}), Family(ResMlpConfig{})}) {
    names.push_back(std::visit(name_of, family));
    if (*wanted != names.back()) continue;
    require(!named, ErrorCode::kInvalidArgument,
            "{}: model '{}' is of family {}, not {}; give one of them", what, base.spec.name, found,
            *wanted);
    base.family = family;
    return;
  }
  fail(ErrorCode::kInvalidArgument, "{}: family is '{}', must be one of {}{}", what,
       excerpt(*wanted), fmt::join(names, ", "), did_you_mean(excerpt(*wanted), names));
}

// "token_mixer" and "window_size" belong to AS-MLP's skeleton only.
void choose_token_mixer(Json& json, Architecture& base, const std::string& what) {
  if (std::visit([](const auto& family) { return kHasOwnFields<std::decay_t<decltype(family)>>; },
                 base.family)) {
    return;
  }
  if (const auto wanted = take(json, "token_mixer")) {
    if (*wanted == kAxialShift) {
      base.family = AsMlpFamily{};
    } else {
      TokenMixerConfig mixer;
      read_json(*wanted, mixer.mixer, what + ": token_mixer");
      base.family = mixer;
    }
  }
  if (auto* mixer = std::get_if<TokenMixerConfig>(&base.family)) {
    if (const auto size = take(json, "window_size")) {
      read_json(*size, mixer->window_size, what + ": window_size");
    }
  }
}

// Moves the field `name` (or its alias) from the top of the description to `part`.
void lift(Json& json, Json& part, const char* name, const FieldInfo& info,
          const std::string& what) {
  const Json* found = find_field(json, name, info, what);
  if (found == nullptr) return;
  require(find_field(part, name, info, what) == nullptr, ErrorCode::kInvalidArgument,
          "{}: '{}' is given twice", what, name);
  part[name] = *found;
  json.erase(name);
  if (info.alias != nullptr) json.erase(info.alias);
}

template <typename F>
void read_parts(Json& json, F& family, ModelSpec& spec, const std::string& what) {
  FamilyConfig<Config, F> view{spec.config, family};
  Json config = take(json, "config").value_or(Json::object());
  require_object(config, what + ": config");
  std::vector<std::string> known{"task",   "name",          "model",   "family", "token_mixer",
                                 "config", "preprocessing", "classes", "origin", "img_size",
                                 "quantization"};
  FamilyConfig<Config, F>::visit(view, [&](const char* name, auto&&, const FieldInfo& info = {}) {
    known.emplace_back(name);
    lift(json, config, name, info, what);
  });
  lift(json, config, "img_size", {}, what);
  const std::optional<Json> image_size = take(config, "img_size");
  read_json(config, view, what + ": config");

  Json preprocessing = take(json, "preprocessing").value_or(Json::object());
  require_object(preprocessing, what + ": preprocessing");
  check_range("in_chans", spec.config.in_chans, 1, 64, what.c_str());
  spec.preprocessing = default_preprocessing(spec.config, spec.preprocessing.size);
  if (image_size) {
    int side = 0;
    auto field = square_field(side);
    read_json(*image_size, field, what + ": img_size");
    spec.preprocessing.size = side;
    read_json(preprocessing, spec.preprocessing, what + ": preprocessing");
    require(spec.preprocessing.size == side, ErrorCode::kInvalidArgument,
            "{}: img_size is {} but preprocessing.size is {}; give one of them", what, side,
            spec.preprocessing.size);
  } else {
    read_json(preprocessing, spec.preprocessing, what + ": preprocessing");
  }
  for (const auto& [key, field] : {std::pair{"name", &spec.name}}) {
    if (const auto value = take(json, key)) read_json(*value, *field, what + ": " + key);
  }
  if (const auto value = take(json, "classes")) {
    read_json(*value, spec.classes, what + ": classes");
  }
  if (const auto value = take(json, "origin")) {
    read_json(*value, spec.origin, what + ": origin");
  }
  if constexpr (std::is_same_v<F, AsMlpFamily>) {
    if (const auto value = take(json, "quantization")) {
      read_json(*value, spec.quantization.emplace(), what + ": quantization");
    }
  }
  if (json.empty()) return;
  check_keys(json, known, what);
  fail(ErrorCode::kInvalidArgument, "{}: '{}' means nothing for a model of this family", what,
       json.begin().key());
}

}  // namespace

Architecture read_architecture(Json json, const std::string& what) {
  require_object(json, what);
  if (is_authors_config(json)) json = description_of_authors_config(json, what);
  if (const auto task = take_text(json, "task", what)) {
    require(*task == to_string(Task::kClassify), ErrorCode::kUnsupported,
            "{}: describes a model for the task '{}'; a classifier is needed here", what,
            excerpt(*task));
  }
  Architecture architecture;
  const auto model = take_text(json, "model", what);
  if (model) {
    require(model->size() <= 200, ErrorCode::kNotFound, "{}: unknown model '{}'", what,
            excerpt(*model));
    architecture = zoo_architecture(*model);
  }
  choose_family(json, architecture, model.has_value(), what);
  choose_token_mixer(json, architecture, what);
  std::visit([&](auto& family) { read_parts(json, family, architecture.spec, what); },
             architecture.family);
  try {
    validate(architecture);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", what, error.what()));
  }
  return architecture;
}

OrderedJson write_json(const Architecture& architecture) {
  const ModelSpec& spec = architecture.spec;
  OrderedJson json{{"task", to_string(Task::kClassify)}, {"name", spec.name}};
  std::visit(
      [&](const auto& family) {
        using F = std::decay_t<decltype(family)>;
        if constexpr (kHasOwnFields<F>) json["family"] = F::kFamily;
        FamilyConfig<const Config, const F> view{spec.config, family};
        json["config"] = fields_to_json(view);
      },
      architecture.family);
  json["preprocessing"] = fields_to_json(spec.preprocessing);
  json["classes"] = spec.classes;
  json["origin"] = spec.origin;
  if (spec.quantization) json["quantization"] = fields_to_json(*spec.quantization);
  if (const auto* mixer = std::get_if<TokenMixerConfig>(&architecture.family)) {
    json["token_mixer"] = to_string(mixer->mixer);
    if (mixer->mixer == TokenMixer::kWindowMlp) json["window_size"] = mixer->window_size;
  }
  return json;
}

}  // namespace asmlp
