#include "asmlp/cli/terminal/command_table.h"

#include <algorithm>
#include <sstream>

#include "asmlp/core/error.h"

namespace asmlp::cli {
namespace {

using Json = nlohmann::ordered_json;

// "NAME:{csv,json}", "N:INT in [1 - 16]": the name, then what CLI11's validators accept.
void read_type(const std::string& type, OptionEntry& entry) {
  const size_t colon = type.find(':');
  entry.value = type.substr(0, colon);
  if (colon == std::string::npos) return;
  const std::string accepted = type.substr(colon + 1);
  const size_t open = accepted.find('{'), close = accepted.find('}');
  if (open == std::string::npos || close == std::string::npos || close < open) {
    entry.range = accepted;
    return;
  }
  std::istringstream words(accepted.substr(open + 1, close - open - 1));
  for (std::string word; std::getline(words, word, ',');) entry.values.push_back(word);
}

OptionEntry entry_of(const CLI::Option& option) {
  OptionEntry entry;
  entry.positional = option.get_positional() && !option.nonpositional();
  if (entry.positional) {
    entry.names.push_back(option.get_name(true));
  } else {
    for (const std::string& name : option.get_snames()) entry.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) entry.names.push_back("--" + name);
  }
  if (option.get_items_expected_max() > 0) {  // no flag
    read_type(option.get_type_name(), entry);
    if (entry.value.empty()) entry.value = "VALUE";
  }
  entry.initial = option.get_default_str();
  entry.description = option.get_description();
  entry.group = option.get_group();
  entry.required = option.get_required();
  entry.repeated = option.get_items_expected_max() > 1;
  entry.value_optional = !entry.value.empty() && option.get_items_expected_min() == 0;
  return entry;
}

Json json_of(const OptionEntry& entry) {
  return {{"names", entry.names},
          {"value", entry.value},
          {"values", entry.values},
          {"range", entry.range},
          {"initial", entry.initial},
          {"description", entry.description},
          {"group", entry.group},
          {"positional", entry.positional},
          {"required", entry.required},
          {"repeated", entry.repeated},
          {"value_optional", entry.value_optional}};
}

OptionEntry entry_from(const Json& json) {
  OptionEntry entry;
  json.at("names").get_to(entry.names);
  json.at("value").get_to(entry.value);
  json.at("values").get_to(entry.values);
  json.at("range").get_to(entry.range);
  json.at("initial").get_to(entry.initial);
  json.at("description").get_to(entry.description);
  json.at("group").get_to(entry.group);
  json.at("positional").get_to(entry.positional);
  json.at("required").get_to(entry.required);
  json.at("repeated").get_to(entry.repeated);
  json.at("value_optional").get_to(entry.value_optional);
  return entry;
}

CommandTable table_from(const Json& json) {
  CommandTable table;
  json.at("name").get_to(table.name);
  json.at("description").get_to(table.description);
  json.at("footer").get_to(table.footer);
  for (const Json& option : json.at("options")) table.options.push_back(entry_from(option));
  for (const Json& command : json.at("commands")) table.commands.push_back(table_from(command));
  return table;
}

}  // namespace

const CommandTable* CommandTable::find(const std::string& command) const {
  const auto found = std::ranges::find(commands, command, &CommandTable::name);
  return found == commands.end() ? nullptr : &*found;
}

CommandTable table_of(const CLI::App& app) {
  CommandTable table{app.get_name(), app.get_description(), app.get_footer(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_group().empty()) table.options.push_back(entry_of(*option));
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_group().empty()) table.commands.push_back(table_of(*command));
  }
  return table;
}

nlohmann::ordered_json to_json(const CommandTable& table) {
  Json json{{"name", table.name}, {"description", table.description}, {"footer", table.footer}};
  json["options"] = Json::array();
  for (const OptionEntry& option : table.options) json["options"].push_back(json_of(option));
  json["commands"] = Json::array();
  for (const CommandTable& command : table.commands) json["commands"].push_back(to_json(command));
  return json;
}

CommandTable table_from_json(const std::string& text, const std::string& what) {
  try {
    return table_from(Json::parse(text));
  } catch (const Json::exception& error) {
    fail(ErrorCode::kBadFormat, "{}: is no table of commands: {}", what, error.what());
  }
}

ValueKind kind_of(const OptionEntry& option) {
  if (option.value.empty()) return ValueKind::kNone;
  if (!option.values.empty()) return ValueKind::kWords;
  for (const char* folder : {"DIR", "FOLDER", "DATA"}) {
    if (option.value.starts_with(folder)) return ValueKind::kFolder;
  }
  for (const char* file : {"FILE", "IMG", "PREFIX", "PATH"}) {
    if (option.value.find(file) != std::string::npos) return ValueKind::kFile;
  }
  // Of options that do not say what their text is, many are files.
  return option.value == "TEXT" || option.value == "VALUE" ? ValueKind::kFile : ValueKind::kOther;
}

}  // namespace asmlp::cli
