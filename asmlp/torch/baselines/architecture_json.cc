// Architectures as JSON and YAML. AS-MLP's own part is model/spec.h's; here stand the fields of the
// other families, read through the `visit` of families.h.
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/model/spec_text.h"
#include "asmlp/model/zoo.h"
#include "asmlp/torch/baselines/architecture_zoo.h"

namespace asmlp::nn {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr const char* kAsMlp = "as_mlp";
constexpr const char* kAxialShift = "axial_shift";
using Family = decltype(Architecture::family);

const std::vector<std::string> kParts{"name",  "family",  "config", "preprocessing",
                                      "model", "classes", "origin"};
const std::vector<std::string> kCommon{"in_chans", "num_classes", "drop_path"};

template <typename T>
constexpr bool kOwnFields = requires {
  T::kFamily;
};

template <typename T>
std::string family_name(const T&) {
  if constexpr (kOwnFields<T>) {
    return T::kFamily;
  } else {
    return kAsMlp;
  }
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

[[noreturn]] void refuse(const Json& value, const std::string& where, const char* expected) {
  fail(ErrorCode::kInvalidArgument, "{} must be {}, found {}", where, expected,
       excerpt(text_of(value)));
}

const std::string& read_text(const Json& value, const std::string& where) {
  if (!value.is_string()) refuse(value, where, "text");
  return value.get_ref<const std::string&>();
}

void read(const Json& value, double& field, const std::string& where) {
  if (!value.is_number()) refuse(value, where, "a number");
  field = value.get<double>();
}

// 7 and 7.0 are the same, as in AS-MLP's descriptions.
void read(const Json& value, int& field, const std::string& where) {
  const double number = value.is_number() ? value.get<double>() : NAN;
  if (!(number == std::floor(number)) || std::abs(number) > std::numeric_limits<int>::max()) {
    refuse(value, where, "an integer");
  }
  field = static_cast<int>(number);
}

void read(const Json& value, bool& field, const std::string& where) {
  if (!value.is_boolean()) refuse(value, where, "true or false");
  field = value.get<bool>();
}

void read(const Json& value, std::vector<int>& field, const std::string& where) {
  if (!value.is_array()) refuse(value, where, "a list of integers");
  field.clear();
  for (const Json& element : value) read(element, field.emplace_back(), where);
}

class Parser {
 public:
  Parser(const Json& root, const std::string& what) : root_(root), what_(what) {}

  Architecture parse() {
    require_object(root_, what_);
    if (root_.contains("model")) {
      const std::string& name = read_text(root_["model"], what_ + ": model");
      require(name.size() <= 200, ErrorCode::kNotFound, "{}: unknown model '{}'", what_,
              excerpt(name));
      base_ = zoo_architecture(name);
    }
    choose_family();
    Architecture architecture = std::visit(
        [&](const auto& family) -> Architecture {
          if constexpr (kOwnFields<std::decay_t<decltype(family)>>) {
            return parse_family(family);
          } else {
            return parse_as_mlp();
          }
        },
        base_.family);
    try {
      validate(architecture);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("{}: {}", what_, error.what()));
    }
    return architecture;
  }

 private:
  static void require_object(const Json& json, const std::string& where) {
    require(json.is_object(), ErrorCode::kInvalidArgument, "{} must be an object, found {}", where,
            json.type_name());
  }

  // Leaves an alternative of the wanted family in base_.family.
  void choose_family() {
    if (!root_.contains("family")) return;
    const std::string& wanted = read_text(root_["family"], what_ + ": family");
    const auto name_of = [](const auto& family) { return family_name(family); };
    const std::string found = std::visit(name_of, base_.family);
    if (wanted == found) return;
    std::vector<std::string> names;
    for (const Family& family : {Family(AsMlpFamily{}), Family(SwinConfig{}),
                                 Family(MlpMixerConfig{}), Family(ResMlpConfig{})}) {
      names.push_back(std::visit(name_of, family));
      if (wanted != names.back()) continue;
      require(!root_.contains("model"), ErrorCode::kInvalidArgument,
              "{}: model '{}' is of family {}, not {}; give one of them", what_, base_.spec.name,
              found, wanted);
      base_.family = family;
      return;
    }
    fail(ErrorCode::kInvalidArgument, "{}: family is '{}', must be one of {}; did you mean '{}'?",
         what_, excerpt(wanted), fmt::join(names, ", "), nearest(excerpt(wanted), names));
  }

  // AS-MLP and its skeleton: model/spec.h reads all but the token mixer.
  Architecture parse_as_mlp() {
    Json rest = root_;
    rest.erase("family");
    Architecture architecture{{}, base_.family};
    if (rest.contains("token_mixer")) {
      read_token_mixer(rest["token_mixer"], architecture);
      rest.erase("token_mixer");
    }
    auto* mixer = std::get_if<TokenMixerConfig>(&architecture.family);
    if (mixer != nullptr && rest.contains("window_size")) {
      read(rest["window_size"], mixer->window_size, what_ + ": window_size");
      rest.erase("window_size");
    }
    const bool skeleton = std::holds_alternative<TokenMixerConfig>(base_.family);
    if (skeleton) rest["model"] = token_mixer_skeleton(base_.spec.name);
    architecture.spec = spec_from_json(text_of(rest), what_);
    if (skeleton && !rest.contains("name")) architecture.spec.name = base_.spec.name;
    return architecture;
  }

  void read_token_mixer(const Json& value, Architecture& architecture) {
    const std::string& wanted = read_text(value, what_ + ": token_mixer");
    std::vector<std::string> names{kAxialShift};
    if (wanted == names.back()) {
      architecture.family = AsMlpFamily{};
      return;
    }
    for (TokenMixer mixer :
         {TokenMixer::kGlobalMlp, TokenMixer::kAxialMlp, TokenMixer::kWindowMlp}) {
      names.emplace_back(to_string(mixer));
      if (wanted != names.back()) continue;
      architecture.family = TokenMixerConfig{mixer};
      return;
    }
    fail(ErrorCode::kInvalidArgument,
         "{}: token_mixer is '{}', must be one of {}; did you mean '{}'?", what_, excerpt(wanted),
         fmt::join(names, ", "), nearest(excerpt(wanted), names));
  }

  template <typename Own>
  Architecture parse_family(Own own) {
    Json rest = Json::object();  // for model/spec.h
    if (root_.contains("config")) {
      require_object(root_["config"], what_ + ": config");
      for (const auto& [key, value] : root_["config"].items()) {
        read_field(key, value, what_ + ": config", own, rest);
      }
    }
    for (const auto& [key, value] : root_.items()) {
      if (!contains(kParts, key)) read_field(key, value, what_, own, rest);
    }
    for (const char* part : {"name", "preprocessing", "classes", "origin"}) {
      if (root_.contains(part)) rest[part] = root_[part];
    }
    if (root_.contains("model")) add_base(rest);
    return {spec_from_json(text_of(rest), what_), own};
  }

  // A field of the family goes to `family`, one that all families have to `rest`.
  template <typename Own>
  void read_field(const std::string& key, const Json& value, const std::string& where, Own& own,
                  Json& rest) {
    const std::string name = key == "drop_path_rate" ? "drop_path" : key;
    require(seen_.insert(name).second, ErrorCode::kInvalidArgument, "{}: '{}' is given twice",
            where, excerpt(name));
    std::vector<std::string> known = kCommon;
    known.emplace_back("img_size");
    if (contains(known, name)) {
      rest[name] = value;
      return;
    }
    bool found = false;
    Own::visit(own, [&](const char* field_name, auto& field) {
      known.emplace_back(field_name);
      if (name != field_name) return;
      read(value, field, fmt::format("{}: {}", where, key));
      found = true;
    });
    if (found) return;
    known.insert(known.end(), kParts.begin(), kParts.end());
    fail(ErrorCode::kInvalidArgument, "{}: unknown key '{}' for a {}; did you mean '{}'?", where,
         excerpt(key), Own::kFamily, nearest(excerpt(key), known));
  }

  // What the model of the zoo says where the description says nothing.
  void add_base(Json& rest) const {
    const Config& config = base_.spec.config;
    if (!rest.contains("name")) rest["name"] = base_.spec.name;
    if (!rest.contains("in_chans")) rest["in_chans"] = config.in_chans;
    if (!rest.contains("num_classes")) rest["num_classes"] = config.num_classes;
    if (!rest.contains("drop_path")) rest["drop_path"] = config.drop_path;
    const Json& preprocessing = rest.contains("preprocessing") ? rest["preprocessing"] : Json();
    const bool sized = preprocessing.is_object() &&
                       (preprocessing.contains("size") || preprocessing.contains("img_size"));
    if (!sized && !rest.contains("img_size")) rest["img_size"] = base_.spec.preprocessing.size;
  }

  const Json& root_;
  const std::string& what_;
  Architecture base_;  // of "model", or the defaults of "family"
  std::set<std::string> seen_;
};

}  // namespace

std::string to_json(const Architecture& architecture) {
  const std::string text = asmlp::to_json(architecture.spec);
  if (is_as_mlp(architecture)) return text;
  OrderedJson json = OrderedJson::parse(text);
  if (const auto* mixer = std::get_if<TokenMixerConfig>(&architecture.family)) {
    json["token_mixer"] = to_string(mixer->mixer);
    if (mixer->mixer == TokenMixer::kWindowMlp) json["window_size"] = mixer->window_size;
    return json.dump();
  }
  OrderedJson config = OrderedJson::object();
  std::string name;
  std::visit(
      [&](const auto& family) {
        using Own = std::decay_t<decltype(family)>;
        if constexpr (kOwnFields<Own>) {
          name = Own::kFamily;
          Own::visit(family, [&](const char* key, const auto& value) { config[key] = value; });
        }
      },
      architecture.family);
  for (const std::string& key : kCommon) config[key] = json["config"][key];
  const OrderedJson whole{{"name", json["name"]},       {"family", name},
                          {"config", config},           {"preprocessing", json["preprocessing"]},
                          {"classes", json["classes"]}, {"origin", json["origin"]}};
  return whole.dump();
}

Architecture architecture_from_json(const std::string& text, const std::string& what) {
  return Parser(json_from_text(text, what), what).parse();
}

Architecture architecture_from_yaml(const std::string& text, const std::string& what) {
  return Parser(json_from_yaml(text, what), what).parse();
}

Architecture resolve_architecture(const std::string& model) {
  if (model.starts_with('{')) return architecture_from_json(model, "model");
  const bool yaml = model.ends_with(".yaml") || model.ends_with(".yml");
  if (!yaml && !model.ends_with(".json")) return zoo_architecture(model);
  const std::string text = read_file(model, kMaxSpecBytes);
  return yaml ? architecture_from_yaml(text, model) : architecture_from_json(text, model);
}

}  // namespace asmlp::nn
