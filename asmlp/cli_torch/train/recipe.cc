#include "asmlp/cli_torch/train/recipe.h"

#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>

#include "asmlp/core/atomic_file.h"
#include "asmlp/schema/fields.h"
#include "asmlp/schema/yaml.h"

namespace asmlp::cli {
namespace {

using Json = nlohmann::ordered_json;

// What one use of the option gives: a list, a number, or text.
template <typename T>
struct ValueOf {
  using type = T;
};
template <typename T>
requires(!HasCodec<std::optional<T>>) struct ValueOf<std::optional<T>> {
  using type = T;
};

// Puts what the command line says of `name`, a field of type T, into `given`.
template <typename T>
CLI::Option* add_typed_option(CLI::App& app, const std::string& flag, const char* name,
                              const char* help, nlohmann::json& given) {
  const auto take = [&given, name](const auto& value) { given[name] = value; };
  if constexpr (std::is_same_v<T, bool>) {
    return app.add_flag_function(
        flag + ",!--no-" + name, [take](int64_t count) { take(count > 0); }, help);
  } else if constexpr (std::is_same_v<T, std::array<double, 2>> ||
                       std::is_same_v<T, std::array<int, 2>>) {
    using List = std::vector<typename T::value_type>;
    return app.add_option_function<List>(flag, take, help)->expected(2);
  } else if constexpr (std::is_same_v<T, std::vector<int>> ||
                       std::is_same_v<T, std::vector<double>>) {
    return app.add_option_function<T>(flag, take, help)->expected(0, 1 << 10);
  } else if constexpr (NamedEnum<T>) {
    std::vector<std::string> names;
    for (const auto& [value, value_name] : names_of(T())) names.emplace_back(value_name);
    return app.add_option_function<std::string>(flag, take, help)->check(CLI::IsMember(names));
  } else if constexpr (Number<T>) {
    return app.add_option_function<T>(flag, take, help);
  } else {
    return app.add_option_function<std::string>(flag, take, help);
  }
}

nlohmann::json recipe_json(const std::filesystem::path& path) {
  return json_from_yaml(read_file(path, kMaxYamlBytes), path.string());
}

// A default as --help shows it; "" where there is none.
std::string shown_text(const Json& value) {
  if (value.is_null()) return "";
  if (value.is_object()) return "the recipe's";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{:.4g}", value.get<double>());
  if (!value.is_array()) return value.dump();
  std::vector<std::string> items;
  for (const Json& item : value) items.push_back(shown_text(item));
  return fmt::format("{}", fmt::join(items, " "));
}

}  // namespace

train::TrainOptions load_recipe(const std::filesystem::path& path) {
  return train::options_from_json(recipe_json(path), path.string());
}

bool recipe_names_model(const std::filesystem::path& path) {
  return find_field(recipe_json(path), "model", {}, path.string()) != nullptr;
}

std::string recipe_text(const train::TrainOptions& options) {
  return yaml_from_json(train::to_json(options));
}

void add_recipe_options(CLI::App& app, const train::TrainOptions& shown, nlohmann::json& given) {
  std::set<std::string> declared;
  const auto declare = [&](const train::TrainOptions& options) {
    const Json defaults = train::to_json(options);
    train::TrainOptions::visit(
        options, [&](const char* name, const auto& field, const OptionInfo& info) {
          if (std::string(name) == "task") return;  // --task may be auto: cli/options/task_option.h
          if (!declared.insert(name).second) return;
          using Field = std::remove_cvref_t<decltype(field)>;
          using Value = typename ValueOf<Field>::type;
          std::string flag = std::string("--") + name;
          if (info.short_name != 0) flag = std::string("-") + info.short_name + "," + flag;
          if (std::string(name) == "data") flag = name;
          CLI::Option* option = add_typed_option<Value>(app, flag, name, info.help, given);
          option->group(info.heading);
          const std::string text = shown_text(defaults.value(name, Json()));
          if (!std::is_same_v<Value, bool> && !text.empty()) option->default_str(text);
        });
  };
  declare(shown);
  for (const auto& [task, name] : names_of(Task())) declare(train::default_options(task));
}

}  // namespace asmlp::cli
