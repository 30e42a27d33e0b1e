#include "asmlp/cli_torch/recipe.h"

#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>
#include <type_traits>

#include "asmlp/core/atomic_file.h"
#include "asmlp/schema/text.h"

namespace asmlp::cli {
namespace {

using Json = nlohmann::ordered_json;

void emit(YAML::Emitter& out, const Json& value) {
  if (value.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, item] : value.items()) {
      out << YAML::Key << key << YAML::Value;
      emit(out, item);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    out << YAML::Flow << YAML::BeginSeq;
    for (const Json& item : value) emit(out, item);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    out << YAML::DoubleQuoted << value.get<std::string>();
  } else {
    out << value.dump();
  }
}

template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};

}  // namespace

train::TrainOptions load_recipe(const std::filesystem::path& path) {
  const std::string text = read_file(path, kMaxYamlBytes);
  return train::options_from_json(json_from_yaml(text, path.string()).dump(), path.string());
}

std::string recipe_text(const train::TrainOptions& options) {
  YAML::Emitter out;
  emit(out, Json::parse(train::to_json(options)));
  return std::string(out.c_str()) + '\n';
}

void add_recipe_options(CLI::App& app, train::TrainOptions& options) {
  train::visit_options(options, [&](const train::OptionInfo& info, auto& field) {
    using Field = std::remove_reference_t<decltype(field)>;
    std::string name = std::string("--") + info.name;
    if (info.short_name) name = std::string("-") + info.short_name + "," + name;
    if (std::string(info.name) == "data") name = "data";
    CLI::Option* option = nullptr;
    if constexpr (std::is_same_v<Field, bool>) {
      option = app.add_flag(name + ",!--no-" + info.name, field, info.help);
    } else if constexpr (std::is_same_v<Field, std::array<double, 2>>) {
      option = app.add_option_function<std::vector<double>>(
                      name,
                      [&field](const std::vector<double>& v) {
                        field = {v.at(0), v.at(1)};
                      },
                      info.help)
                   ->expected(2)
                   ->default_str(fmt::format("{:.4g} {:.4g}", field[0], field[1]));
    } else if constexpr (std::is_same_v<Field, std::vector<int>>) {
      option = app.add_option_function<std::vector<int>>(
                      name, [&field](const std::vector<int>& v) { field = v; }, info.help)
                   ->expected(0, 1 << 10)
                   ->default_str(fmt::format("{}", fmt::join(field, " ")));
    } else if constexpr (IsOptional<Field>::value) {
      option = app.add_option_function<typename Field::value_type>(
          name, [&field](const auto& value) { field = value; }, info.help);
      if (field) option->default_str(fmt::format("{}", *field));
    } else {
      option = app.add_option(name, field, info.help);
      const std::string value = fmt::format("{}", field);
      if (!value.empty()) option->default_str(value.starts_with('{') ? "the recipe's" : value);
    }
    option->group(info.group);
  });
}

}  // namespace asmlp::cli
