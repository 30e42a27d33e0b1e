// The options of a program as data: what help pages and shell completions are made of, so that they
// say what the program takes.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace asmlp::cli {

struct OptionEntry {
  std::vector<std::string> names;   // "-m", "--model"; of a positional argument its one name
  std::string value;                // what its value is called ("FILE"); empty: it takes none
  std::vector<std::string> values;  // all that it may be; empty: anything
  std::string range;                // "INT in [1 - 16]", or ""
  std::string initial;              // its default, where the program states it
  std::string description;
  std::string group;
  bool positional = false, required = false, repeated = false;
  bool value_optional = false;  // "--resume" and "--resume FILE"
};

struct CommandTable {
  std::string name, description, footer;
  std::vector<OptionEntry> options;  // in the order of the help
  std::vector<CommandTable> commands;

  const CommandTable* find(const std::string& command) const;  // null: there is none
};

// What was declared on `app`; options without a group are hidden.
CommandTable table_of(const CLI::App& app);

// The text form by which one program tells another its table.
nlohmann::ordered_json to_json(const CommandTable& table);
// Error(kBadFormat) for what to_json does not write; `what` names the source.
CommandTable table_from_json(const std::string& text, const std::string& what);

// Kinds of values that a shell can complete.
enum class ValueKind { kNone, kWords, kFile, kFolder, kOther };
ValueKind kind_of(const OptionEntry& option);

}  // namespace asmlp::cli
