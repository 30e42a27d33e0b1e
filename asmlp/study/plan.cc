#include "asmlp/study/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/schema/text.h"
#include "asmlp/model/zoo.h"
#include "asmlp/schema/nearest.h"

namespace asmlp::study {
namespace {

namespace fs = std::filesystem;
using Value = nlohmann::json;  // keys in order: the same text for the same content

// More is a mistake in a grid.
constexpr size_t kMaxVariants = 10'000;

struct Option {
  const char* name;
  const char* instead;
};
// What a study gives its runs itself.
constexpr Option kOwnOptions[] = {
    {"seed", "list them as `seeds`"},
    {"epochs", "all runs have the `epochs` of the study"},
    {"threads", "they follow from --jobs"},
    {"output", "it is --output of `asmlp study`"},
    {"resume", "a study resumes its runs by itself"},
    {"max-steps", "give fewer `epochs`"},
};

// "batch_size" -> "batch-size"; of a path only the first word is an option.
std::string canonical(std::string key) {
  const size_t end = std::min(key.find('.'), key.size());
  std::replace(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(end), '_', '-');
  return key;
}

void check_map(const Value& value, const std::string& where) {
  require(value.is_object(), ErrorCode::kInvalidArgument, "{} must be a map, found {}", where,
          value.type_name());
}

void check_keys(const Value& map, const std::string& where, const std::vector<std::string>& known) {
  check_map(map, where);
  for (const auto& [key, value] : map.items()) {
    require(std::find(known.begin(), known.end(), key) != known.end(), ErrorCode::kInvalidArgument,
            "{}: unknown key '{}'{}", where, excerpt(key),
            did_you_mean(excerpt(key), known));
  }
}

std::string read_text(const Value& value, const std::string& where) {
  require(value.is_string() && !value.get_ref<const std::string&>().empty(),
          ErrorCode::kInvalidArgument, "{} must be text, found {}", where, excerpt(value.dump()));
  return value.get<std::string>();
}

// Names stand in tables and plots.
std::string read_name(const Value& value, const std::string& where) {
  const std::string name = value.is_number() ? value.dump() : read_text(value, where);
  const bool plain = std::none_of(name.begin(), name.end(),
                                  [](unsigned char c) { return c == '|' || std::iscntrl(c) != 0; });
  require(plain && name.size() <= 100, ErrorCode::kInvalidArgument,
          "{}: '{}' must be at most 100 bytes without '|' and line breaks", where, excerpt(name));
  return name;
}

std::vector<uint64_t> read_seeds(const Value& value, const std::string& where) {
  require(value.is_array() && !value.empty() && value.size() <= 1000, ErrorCode::kInvalidArgument,
          "{} must be a list of 1 to 1000 seeds", where);
  std::vector<uint64_t> seeds;
  for (const Value& seed : value) {
    require(seed.is_number_integer() && seed.get<int64_t>() >= 0, ErrorCode::kInvalidArgument,
            "{}: {} is no seed; 0 to 2^63-1", where, excerpt(seed.dump()));
    const auto number = seed.get<uint64_t>();
    require(std::find(seeds.begin(), seeds.end(), number) == seeds.end(),
            ErrorCode::kInvalidArgument, "{}: {} is given twice", where, number);
    seeds.push_back(number);
  }
  return seeds;
}

bool is_file_name(const std::string& model) {
  return model.ends_with(".yaml") || model.ends_with(".yml") || model.ends_with(".json");
}

Value read_map_file(const fs::path& path) {
  const std::string text = read_file(path, kMaxYamlBytes);
  const bool json = path.extension() == ".json";
  Value map = json ? json_from_text(text, path.string()) : json_from_yaml(text, path.string());
  check_map(map, path.string());
  return map;
}

// Puts `options[key] = value`; "model.config.shift_size" changes that field of the map `model`
// and leaves its others. A zoo name becomes the map {"model": name}.
void set_option(Value& options, const std::string& raw, const Value& value,
                const std::string& where) {
  const std::string key = canonical(raw);
  for (const Option& own : kOwnOptions) {
    require(key.substr(0, key.find('.')) != own.name, ErrorCode::kInvalidArgument,
            "{}: '{}' is the study's own: {}", where, excerpt(raw), own.instead);
  }
  Value* target = &options;
  size_t begin = 0;
  for (size_t dot; (dot = key.find('.', begin)) != std::string::npos; begin = dot + 1) {
    const std::string part = key.substr(begin, dot - begin);
    Value& next = (*target)[part];
    if (part == "model" && next.is_string()) next = {{"model", next}};
    if (next.is_null()) next = Value::object();
    require(!part.empty() && next.is_object(), ErrorCode::kInvalidArgument,
            "{}: '{}': {} is no map whose fields could be set", where, excerpt(raw), part);
    target = &next;
  }
  require(begin < key.size(), ErrorCode::kInvalidArgument, "{}: '{}' ends with a dot", where,
          excerpt(raw));
  (*target)[key.substr(begin)] = value;
}

// Files are taken in, so that a changed file is a changed configuration.
void inline_model(Value& options, const fs::path& folder) {
  const auto model = options.find("model");
  if (model == options.end() || !model->is_string()) return;
  const std::string name = model->get<std::string>();
  if (is_file_name(name)) *model = read_map_file(folder / name);
}

void apply_map(Value& options, const Value& changes, const std::string& where,
               const fs::path& folder) {
  check_map(changes, where);
  // Whole values come before fields: {"model": file, "model.config.dilation": 2} is one model.
  for (const bool fields : {false, true}) {
    for (const auto& [key, value] : changes.items()) {
      if ((key.find('.') != std::string::npos) != fields) continue;
      set_option(options, key, value, where);
    }
    inline_model(options, folder);
  }
}

// `base`: a recipe file, inline options, or the file with changes.
Value read_base(const Value& root, const std::string& what, const fs::path& folder, Value& epochs) {
  Value options = Value::object();
  require(root.contains("base"), ErrorCode::kInvalidArgument,
          "{}: `base` is missing: the options of all runs, or `recipe: FILE` with changes", what);
  Value base = root["base"];
  check_map(base, what + ": base");
  if (const auto recipe = base.find("recipe"); recipe != base.end()) {
    const fs::path file = folder / read_text(*recipe, what + ": base: recipe");
    base.erase(recipe);
    // A recipe is for one run: its seed and threads give way to the study's.
    Value own = Value::object();
    const Value recipe_options = read_map_file(file);
    for (const auto& [key, value] : recipe_options.items()) {
      const std::string name = canonical(key);
      if (name == "epochs") epochs = value;
      if (name != "epochs" && name != "seed" && name != "threads") own[key] = value;
    }
    apply_map(options, own, file.string(), file.parent_path());
  }
  apply_map(options, base, what + ": base", folder);
  return options;
}

// [5, 1] -> "5x1", "zero" -> "zero", 2 -> "2".
std::string value_text(const Value& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const Value& element : value) text += (text.empty() ? "" : "x") + value_text(element);
  return text;
}

struct GridPoint {
  std::string name;  // "shift_size 5x1, dilation 2"
  std::vector<std::pair<std::string, Value>> settings;
};

std::vector<GridPoint> expand_grid(const Value& grid, const std::string& where) {
  check_map(grid, where);
  std::vector<GridPoint> points{{}};
  for (const auto& [key, values] : grid.items()) {
    require(values.is_array() && !values.empty(), ErrorCode::kInvalidArgument,
            "{}: {} must be a list of values, found {}", where, excerpt(key),
            excerpt(values.dump()));
    require(points.size() * values.size() <= kMaxVariants, ErrorCode::kTooLarge,
            "{}: more than {} combinations", where, kMaxVariants);
    const std::string label = key.substr(key.rfind('.') + 1);
    std::vector<GridPoint> next;
    for (const GridPoint& point : points) {
      for (const Value& value : values) {
        GridPoint more = point;
        more.name +=
            fmt::format("{}{} {}", more.name.empty() ? "" : ", ", label, value_text(value));
        more.settings.emplace_back(key, value);
        next.push_back(std::move(more));
      }
    }
    points = std::move(next);
  }
  return points;
}

class Reader {
 public:
  Reader(std::string what, fs::path folder) : what_(std::move(what)), folder_(std::move(folder)) {}

  StudyPlan read(const Value& root) {
    check_keys(root, what_, {"name", "base", "epochs", "seeds", "baseline", "variants", "grid"});
    if (root.contains("name")) plan_.name = read_name(root["name"], what_ + ": name");
    Value epochs;
    base_ = read_base(root, what_, folder_, epochs);
    if (root.contains("epochs")) epochs = root["epochs"];
    require(epochs.is_number_integer() && epochs.get<int64_t>() >= 1 &&
                epochs.get<int64_t>() <= 1'000'000,
            ErrorCode::kInvalidArgument,
            "{}: `epochs` must be a number of at least 1: every run of a study has as many", what_);
    plan_.epochs = epochs.get<int>();
    require(root.contains("seeds"), ErrorCode::kInvalidArgument,
            "{}: `seeds` is missing: a list, e.g. [1, 2, 3]", what_);
    seeds_ = read_seeds(root["seeds"], what_ + ": seeds");
    require(root.contains("variants") != root.contains("grid"), ErrorCode::kInvalidArgument,
            "{}: give `variants` or `grid`, one of them", what_);
    if (root.contains("grid")) {
      read_entry({{"grid", root["grid"]}}, what_);
    } else {
      require(root["variants"].is_array() && !root["variants"].empty(), ErrorCode::kInvalidArgument,
              "{}: variants must be a list", what_);
      size_t number = 0;
      for (const Value& entry : root["variants"]) {
        read_entry(entry, fmt::format("{}: variant {}", what_, ++number));
      }
    }
    if (root.contains("baseline")) choose_baseline(root["baseline"]);
    return std::move(plan_);
  }

 private:
  void read_entry(const Value& entry, const std::string& where) {
    check_keys(entry, where, {"name", "group", "set", "grid", "seeds"});
    const std::string name = entry.contains("name") ? read_name(entry["name"], where) : "";
    const std::string group = entry.contains("group") ? read_name(entry["group"], where) : "";
    const auto seeds =
        entry.contains("seeds") ? read_seeds(entry["seeds"], where + ": seeds") : seeds_;
    Value options = base_;
    if (entry.contains("set")) apply_map(options, entry["set"], where + ": set", folder_);
    if (!entry.contains("grid")) {
      require(!name.empty(), ErrorCode::kInvalidArgument, "{} needs a `name`", where);
      add(name, group, seeds, options, where);
      return;
    }
    for (const GridPoint& point : expand_grid(entry["grid"], where + ": grid")) {
      Value changed = options;
      for (const auto& [key, value] : point.settings) {
        set_option(changed, key, value, where + ": grid");
      }
      inline_model(changed, folder_);
      add(name.empty() ? point.name : fmt::format("{} {}", name, point.name), group, seeds, changed,
          where);
    }
  }

  void add(const std::string& name, const std::string& group, const std::vector<uint64_t>& seeds,
           const Value& options, const std::string& where) {
    for (const StudyVariant& other : plan_.variants) {
      require(other.name != name || other.group != group, ErrorCode::kInvalidArgument,
              "{}: the name '{}' is given twice in group '{}'", where, excerpt(name),
              excerpt(group));
    }
    require(plan_.variants.size() < kMaxVariants, ErrorCode::kTooLarge, "{}: more than {} variants",
            what_, kMaxVariants);
    const auto [place, is_new] = configs_.try_emplace(identity_of(options), plan_.configs.size());
    if (is_new) {
      plan_.configs.push_back({options, name, {}});
    }
    StudyConfig& config = plan_.configs[place->second];
    for (uint64_t seed : seeds) {
      if (std::find(config.seeds.begin(), config.seeds.end(), seed) == config.seeds.end()) {
        config.seeds.push_back(seed);
      }
    }
    plan_.variants.push_back({name, group, seeds, place->second});
  }

  void choose_baseline(const Value& value) {
    const std::string name = read_name(value, what_ + ": baseline");
    std::vector<std::string> names;
    for (size_t v = 0; v < plan_.variants.size() && !plan_.baseline; ++v) {
      names.push_back(plan_.variants[v].name);
      if (plan_.variants[v].name == name) plan_.baseline = v;
    }
    require(plan_.baseline.has_value(), ErrorCode::kInvalidArgument,
            "{}: baseline '{}' is no variant{}", what_, excerpt(name),
            did_you_mean(excerpt(name), names));
  }

  std::string what_;
  fs::path folder_;
  StudyPlan plan_;
  Value base_;
  std::vector<uint64_t> seeds_;
  std::map<std::string, size_t> configs_;  // by identity
};

// "AS-MLP, shift 5 x 5" -> "as-mlp-shift-5-x-5".
std::string slug(const std::string& name) {
  std::string text;
  for (unsigned char c : name) {
    if (std::isalnum(c) != 0) {
      text += static_cast<char>(std::tolower(c));
    } else if (!text.empty() && text.back() != '-') {
      text += '-';
    }
  }
  while (!text.empty() && text.back() == '-') text.pop_back();
  return text.empty() ? "run" : text.substr(0, 60);
}

}  // namespace

std::string identity_of(const nlohmann::json& options) {
  Value essential = options;
  for (const char* key : {"workers", "log-interval", "checkpoint-interval"}) essential.erase(key);
  return essential.dump(2, ' ', false, Value::error_handler_t::replace);
}

std::string short_hash(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return fmt::format("{:08x}", (hash ^ hash >> 32) & 0xffffffff);
}

std::vector<StudyRun> StudyPlan::runs() const {
  std::vector<StudyRun> all;
  size_t most = 0;
  for (const StudyConfig& config : configs) most = std::max(most, config.seeds.size());
  for (size_t k = 0; k < most; ++k) {
    for (size_t c = 0; c < configs.size(); ++c) {
      if (k >= configs[c].seeds.size()) continue;
      StudyRun run{c, configs[c].seeds[k], configs[c].options, ""};
      run.options["seed"] = run.seed;
      run.options["epochs"] = epochs;
      run.folder = fmt::format("{}_seed{}_{}", slug(configs[c].name), run.seed,
                               short_hash(identity_of(run.options)));
      all.push_back(std::move(run));
    }
  }
  return all;
}

StudyPlan parse_study(const std::string& text, const std::string& what, const fs::path& folder) {
  return Reader(what, folder).read(json_from_yaml(text, what));
}

StudyPlan load_study(const fs::path& path) {
  StudyPlan plan = parse_study(read_file(path, kMaxYamlBytes), path.string(), path.parent_path());
  if (plan.name.empty()) plan.name = path.stem().string();
  return plan;
}

}  // namespace asmlp::study
