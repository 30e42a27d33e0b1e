// From a JSON value to a ModelSpec: one table of fields, one place that knows their types.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/model/spec.h"
#include "asmlp/model/spec_text.h"
#include "asmlp/model/zoo.h"

namespace asmlp {
namespace {

using Json = nlohmann::json;

// A value together with where it stands, for messages.
struct Field {
  const Json& value;
  const std::string& where;  // "model.json: depths"

  [[noreturn]] void refuse(const char* expected) const {
    fail(ErrorCode::kInvalidArgument, "{} must be {}, found {}", where, expected,
         value.is_structured() && value.size() > 16
             ? std::string(value.type_name())
             : excerpt(value.dump(-1, ' ', true, Json::error_handler_t::replace)));
  }

  double number() const {
    if (!value.is_number()) refuse("a number");
    return value.get<double>();
  }

  // 7 and 7.0 are the same: YAML writers and Python dictionaries mix them.
  int integer() const {
    if (!value.is_number()) refuse("an integer");
    const double number = value.get<double>();
    if (number != std::floor(number) || std::abs(number) > std::numeric_limits<int>::max()) {
      refuse("an integer");
    }
    return static_cast<int>(number);
  }

  bool boolean() const {
    if (!value.is_boolean()) refuse("true or false");
    return value.get<bool>();
  }

  const std::string& text() const {
    if (!value.is_string()) refuse("text");
    return value.get_ref<const std::string&>();
  }

  template <typename T, typename Read>
  std::vector<T> list(const char* expected, Read read) const {
    if (!value.is_array()) refuse(expected);
    std::vector<T> out;
    for (const Json& element : value) out.push_back(static_cast<T>(read(Field{element, where})));
    return out;
  }

  template <typename Enum>
  Enum choice(std::initializer_list<Enum> choices) const {
    std::vector<std::string> names;
    for (Enum candidate : choices) {
      names.emplace_back(to_string(candidate));
      if (text() == names.back()) return candidate;
    }
    fail(ErrorCode::kInvalidArgument, "{} is '{}', must be one of {}; did you mean '{}'?", where,
         excerpt(text()), fmt::join(names, ", "), nearest(excerpt(text()), names));
  }

  // n, [h, w] or {"h": h, "w": w}.
  ShiftSize pair(const char* expected) const {
    if (value.is_number()) return {integer(), integer()};
    if (value.is_array() && value.size() == 2) {
      return {Field{value[0], where}.integer(), Field{value[1], where}.integer()};
    }
    if (value.is_object() && value.size() == 2 && value.contains("h") && value.contains("w")) {
      return {Field{value["h"], where}.integer(), Field{value["w"], where}.integer()};
    }
    refuse(expected);
  }
};

struct Known {
  const char* key;
  std::vector<const char*> aliases;
  std::function<void(ModelSpec&, const Field&)> read;
};

int read_image_size(const Field& field) {
  // Preprocessing makes squares; of a rectangle the larger side is kept, so no detail is lost.
  const ShiftSize size = field.pair("a number or [h, w]");
  return std::max(size.h, size.w);
}

const std::vector<Known>& config_fields() {
  static const std::vector<Known> kFields{
      {"in_chans", {}, [](auto& s, auto& f) { s.config.in_chans = f.integer(); }},
      {"num_classes", {}, [](auto& s, auto& f) { s.config.num_classes = f.integer(); }},
      {"embed_dim", {}, [](auto& s, auto& f) { s.config.embed_dim = f.integer(); }},
      {"depths",
       {},
       [](auto& s, auto& f) {
         s.config.depths =
             f.template list<int>("a list of integers", [](const Field& e) { return e.integer(); });
       }},
      {"patch_size", {}, [](auto& s, auto& f) { s.config.patch_size = f.integer(); }},
      {"mlp_ratio", {}, [](auto& s, auto& f) { s.config.mlp_ratio = f.number(); }},
      {"shift_size",
       {},
       [](auto& s, auto& f) {
         s.config.shift_size = f.pair("a number, [h, w] or {\"h\": .., \"w\": ..}");
       }},
      {"dilation", {}, [](auto& s, auto& f) { s.config.dilation = f.integer(); }},
      {"padding",
       {"padding_mode"},
       [](auto& s, auto& f) {
         s.config.padding =
             f.text() == "zeros"  // PyTorch's word for it
                 ? Padding::kZero
                 : f.template choice<Padding>({Padding::kZero, Padding::kCircular,
                                               Padding::kReflect, Padding::kReplicate});
       }},
      {"connection",
       {},
       [](auto& s, auto& f) {
         s.config.connection =
             f.template choice<Connection>({Connection::kParallel, Connection::kSerial});
       }},
      {"patch_norm", {}, [](auto& s, auto& f) { s.config.patch_norm = f.boolean(); }},
      {"drop_path", {"drop_path_rate"}, [](auto& s, auto& f) { s.config.drop_path = f.number(); }},
      {"img_size", {}, [](auto& s, auto& f) { s.preprocessing.size = read_image_size(f); }},
  };
  return kFields;
}

std::vector<float> read_floats(const Field& field) {
  return field.list<float>("a list of numbers",
                           [](const Field& element) { return element.number(); });
}

const std::vector<Known>& preprocessing_fields() {
  static const std::vector<Known> kFields{
      {"size", {"img_size"}, [](auto& s, auto& f) { s.preprocessing.size = read_image_size(f); }},
      {"crop_pct", {}, [](auto& s, auto& f) { s.preprocessing.crop_pct = f.number(); }},
      {"interpolation",
       {},
       [](auto& s, auto& f) {
         s.preprocessing.interpolation =
             f.template choice<Interpolation>({Interpolation::kBilinear, Interpolation::kBicubic});
       }},
      {"mean", {}, [](auto& s, auto& f) { s.preprocessing.mean = read_floats(f); }},
      {"std", {}, [](auto& s, auto& f) { s.preprocessing.std = read_floats(f); }},
  };
  return kFields;
}

class Parser {
 public:
  explicit Parser(const std::string& what) : what_(what) {}

  ModelSpec parse(const Json& root) {
    require_object(root, what_);
    refuse_comparison(root, "family", "as_mlp");
    refuse_comparison(root, "token_mixer", "axial_shift");
    check_keys(root);
    if (root.contains("model")) {
      const std::string where = what_ + ": model";
      const std::string& name = Field{root["model"], where}.text();
      require(name.size() <= 200, ErrorCode::kNotFound, "{}: unknown model '{}'", where,
              excerpt(name));
      spec_ = zoo_model(name);
    }
    // The config comes first: the default preprocessing depends on its channels.
    const int default_size = spec_.preprocessing.size;
    if (root.contains("config")) apply(root["config"], config_fields(), what_ + ": config", false);
    apply(root, config_fields(), what_, true);
    const bool sized = seen_.contains(find(config_fields(), "img_size"));
    const int image_size = spec_.preprocessing.size;
    require(spec_.config.in_chans >= 1 && spec_.config.in_chans <= 64, ErrorCode::kInvalidArgument,
            "{}: in_chans is {}, must be between 1 and 64", what_, spec_.config.in_chans);
    spec_.preprocessing = default_preprocessing(spec_.config, default_size);
    if (sized) spec_.preprocessing.size = image_size;
    if (root.contains("preprocessing")) {
      apply(root["preprocessing"], preprocessing_fields(), what_ + ": preprocessing", false);
    }
    require(!sized || image_size == spec_.preprocessing.size, ErrorCode::kInvalidArgument,
            "{}: img_size is {} but preprocessing.size is {}; give one of them", what_, image_size,
            spec_.preprocessing.size);
    read_texts(root);
    try {
      validate(spec_);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("{}: {}", what_, error.what()));
    }
    return std::move(spec_);
  }

 private:
  static void require_object(const Json& json, const std::string& where) {
    require(json.is_object(), ErrorCode::kInvalidArgument, "{} must be an object, found {}", where,
            json.type_name());
  }

  // The models that AS-MLP is compared with have descriptions of their own
  // (torch/nn/architecture.h); read as AS-MLP they would give wrong numbers.
  void refuse_comparison(const Json& root, const char* key, const char* own) const {
    if (!root.contains(key)) return;
    const std::string where = fmt::format("{}: {}", what_, key);
    const std::string& value = Field{root[key], where}.text();
    require(value == own, ErrorCode::kUnsupported,
            "{} is '{}': a model for comparison, which only training with LibTorch knows "
            "(`asmlp train`, `asmlp study`); everything else runs {} '{}'",
            where, excerpt(value), key, own);
  }

  static const Known* find(const std::vector<Known>& fields, const std::string& key) {
    for (const Known& known : fields) {
      if (key == known.key) return &known;
      for (const char* alias : known.aliases) {
        if (key == alias) return &known;
      }
    }
    return nullptr;
  }

  [[noreturn]] static void unknown_key(const std::string& where, const std::string& key,
                                       std::vector<std::string> candidates,
                                       const std::vector<Known>& fields) {
    for (const Known& known : fields) candidates.emplace_back(known.key);
    fail(ErrorCode::kInvalidArgument, "{}: unknown key '{}'; did you mean '{}'?", where,
         excerpt(key), nearest(excerpt(key), candidates));
  }

  void check_keys(const Json& root) const {
    static const std::vector<std::string> kParts{
        "name", "config", "preprocessing", "classes", "origin", "model", "family", "token_mixer"};
    for (const auto& [key, value] : root.items()) {
      if (find(config_fields(), key) != nullptr) continue;
      if (std::find(kParts.begin(), kParts.end(), key) != kParts.end()) continue;
      unknown_key(what_, key, kParts, config_fields());
    }
  }

  // Sets every known field of `json`. A field may stand only once, in one place, under one name.
  void apply(const Json& json, const std::vector<Known>& fields, const std::string& where,
             bool others_allowed) {
    require_object(json, where);
    for (const auto& [key, value] : json.items()) {
      const Known* known = find(fields, key);
      if (known == nullptr && others_allowed) continue;
      if (known == nullptr) unknown_key(where, key, {}, fields);
      require(seen_.insert(known).second, ErrorCode::kInvalidArgument, "{}: '{}' is given twice",
              where, known->key);
      const std::string position = fmt::format("{}: {}", where, key);
      known->read(spec_, Field{value, position});
    }
  }

  void read_texts(const Json& root) {
    if (root.contains("name")) {
      const std::string where = what_ + ": name";
      spec_.name = Field{root["name"], where}.text();
    }
    if (root.contains("classes")) {
      const std::string where = what_ + ": classes";
      spec_.classes = Field{root["classes"], where}.list<std::string>(
          "a list of names", [](const Field& element) { return element.text(); });
    }
    if (root.contains("origin")) {
      require_object(root["origin"], what_ + ": origin");
      for (const auto& [key, value] : root["origin"].items()) {
        const std::string where = fmt::format("{}: origin: {}", what_, excerpt(key));
        spec_.origin[key] = Field{value, where}.text();
      }
    }
  }

  const std::string& what_;
  ModelSpec spec_;
  std::set<const Known*> seen_;
};

}  // namespace

ModelSpec spec_from_json(const std::string& text, const std::string& what) {
  return Parser(what).parse(json_from_text(text, what));
}

ModelSpec spec_from_yaml(const std::string& text, const std::string& what) {
  return Parser(what).parse(json_from_yaml(text, what));
}

ModelSpec load_spec(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  const bool yaml = extension == ".yaml" || extension == ".yml";
  require(yaml || extension == ".json", ErrorCode::kInvalidArgument,
          "{}: a model description is a .json, .yaml or .yml file", path.string());
  const std::string text = read_file(path, kMaxSpecBytes);
  return yaml ? spec_from_yaml(text, path.string()) : spec_from_json(text, path.string());
}

}  // namespace asmlp
