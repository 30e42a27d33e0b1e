#include "asmlp/study/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <utility>

#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/schema/fields.h"
#include "asmlp/schema/nearest.h"
#include "asmlp/schema/text.h"
#include "asmlp/schema/yaml.h"

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
std::string canonical(const std::string& key) {
  const size_t end = std::min(key.find('.'), key.size());
  return with_dashes(key.substr(0, end)) + key.substr(end);
}

Value read_map_file(const fs::path& path) {
  Value map = json_from_file(path);
  require_object(map, path.string());
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
  if (is_json_or_yaml(name)) *model = read_map_file(folder / name);
}

void apply_map(Value& options, const Value& changes, const std::string& where,
               const fs::path& folder) {
  require_object(changes, where);
  // Whole values come before fields: {"model": file, "model.config.dilation": 2} is one model.
  for (const bool fields : {false, true}) {
    for (const auto& [key, value] : changes.items()) {
      if ((key.find('.') != std::string::npos) != fields) continue;
      set_option(options, key, value, where);
    }
    inline_model(options, folder);
  }
}

// `base`: a recipe file, inline options, or the file with changes. A recipe's epochs are the
// study's unless that has its own.
Value read_base(Value base, const std::string& where, const fs::path& folder,
                std::optional<int>& epochs) {
  require_object(base, where);
  Value options = Value::object();
  if (const auto recipe = base.find("recipe"); recipe != base.end()) {
    std::string name;
    read_json(*recipe, name, where + ": recipe");
    base.erase(recipe);
    const fs::path file = folder / name;
    // A recipe is for one run: its seed and threads give way to the study's.
    Value own = Value::object();
    const Value recipe_options = read_map_file(file);
    for (const auto& [key, value] : recipe_options.items()) {
      const std::string option = canonical(key);
      if (option == "epochs" && !epochs) {
        read_json(value, epochs.emplace(), file.string() + ": epochs");
        check_range("epochs", *epochs, kStudyEpochs, file.c_str());
      }
      if (option != "epochs" && option != "seed" && option != "threads") own[key] = value;
    }
    apply_map(options, own, file.string(), file.parent_path());
  }
  apply_map(options, base, where, folder);
  return options;
}

// [5, 1] -> "5x1", "zero" -> "zero", 2 -> "2".
std::string value_text(const Value& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const Value& element : value) {
    if (!text.empty()) text += 'x';
    text += value_text(element);
  }
  return text;
}

struct GridPoint {
  std::string name;  // "shift_size 5x1, dilation 2"
  std::vector<std::pair<std::string, Value>> settings;
};

std::vector<GridPoint> expand_grid(const Value& grid, const std::string& where) {
  require_object(grid, where);
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

// Expands what a file says.
class Expander {
 public:
  Expander(std::string what, fs::path folder, std::optional<std::string> data)
      : what_(std::move(what)), folder_(std::move(folder)), data_(std::move(data)) {}

  StudyPlan expand(PlanFile file) {
    plan_.name = file.name.text;
    base_ = read_base(file.base, what_ + ": base", folder_, file.epochs);
    if (data_) base_["data"] = *data_;
    require(file.epochs.has_value(), ErrorCode::kInvalidArgument,
            "{}: `epochs` is missing: every run of a study has as many", what_);
    plan_.epochs = *file.epochs;
    if (file.variants) {
      size_t number = 0;
      for (const PlanVariant& variant : *file.variants) {
        add_variant(variant, *file.seeds, fmt::format("{}: variant {}", what_, ++number));
      }
    } else {
      PlanVariant all;
      all.grid = std::move(file.grid);
      add_variant(all, *file.seeds, what_);
    }
    if (!file.baseline.text.empty()) choose_baseline(file.baseline.text);
    return std::move(plan_);
  }

 private:
  void add_variant(const PlanVariant& variant, const std::vector<uint64_t>& all_seeds,
                   const std::string& where) {
    const std::string& name = variant.name.text;
    const std::vector<uint64_t>& seeds = variant.seeds ? *variant.seeds : all_seeds;
    Value options = base_;
    if (!variant.set.is_null()) apply_map(options, variant.set, where + ": set", folder_);
    if (variant.grid.is_null()) {
      add(variant, name, seeds, options, where);
      return;
    }
    for (const GridPoint& point : expand_grid(variant.grid, where + ": grid")) {
      Value changed = options;
      for (const auto& [key, value] : point.settings) {
        set_option(changed, key, value, where + ": grid");
      }
      inline_model(changed, folder_);
      add(variant, name.empty() ? point.name : fmt::format("{} {}", name, point.name), seeds,
          changed, where);
    }
  }

  void add(const PlanVariant& variant, const std::string& name, const std::vector<uint64_t>& seeds,
           const Value& options, const std::string& where) {
    const std::string& group = variant.group.text;
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
    plan_.variants.push_back({name, group, seeds, place->second, variant.claim});
  }

  void choose_baseline(const std::string& name) {
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
  std::optional<std::string> data_;  // instead of the base's
  StudyPlan plan_;
  Value base_;
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
  for (const char* key :
       {"workers", "cache", "cache-dir", "log-interval", "checkpoint-interval", "report-images"}) {
    essential.erase(key);
  }
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

StudyPlan parse_study(const std::string& text, const std::string& what, const fs::path& folder,
                      const std::optional<std::string>& data) {
  return Expander(what, folder, data).expand(read_plan_file(text, what));
}

StudyPlan load_study(const fs::path& path, const std::optional<std::string>& data) {
  StudyPlan plan =
      parse_study(read_file(path, kMaxYamlBytes), path.string(), path.parent_path(), data);
  if (plan.name.empty()) plan.name = path.stem().string();
  return plan;
}

}  // namespace asmlp::study
