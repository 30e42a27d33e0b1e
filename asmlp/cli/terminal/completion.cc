#include "asmlp/cli/terminal/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <functional>

namespace asmlp::cli {
namespace {

// Text in single quotes of any of the shells; a quote in it becomes a typographic one, which needs
// no escape in any of them.
std::string in_quotes(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "\u2019";
    } else if (c == '\n') {
      out += ' ';
    } else {
      out += c;
    }
  }
  return out + "'";
}

// A name that functions of shells may have.
std::string function_name(const std::string& program) {
  std::string name = "_" + program;
  std::ranges::replace(name, '-', '_');
  return name;
}

// Every command, the program first, with its path: "", "predict", "dataset shards".
void visit(const CommandTable& table, const std::string& path,
           const std::function<void(const std::string&, const CommandTable&)>& call) {
  call(path, table);
  for (const CommandTable& command : table.commands) {
    visit(command, path.empty() ? command.name : path + " " + command.name, call);
  }
}

std::vector<std::string> option_names(const CommandTable& command) {
  std::vector<std::string> names;
  for (const OptionEntry& option : command.options) {
    if (!option.positional) names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return names;
}

std::vector<std::string> command_names(const CommandTable& command) {
  std::vector<std::string> names;
  for (const CommandTable& one : command.commands) names.push_back(one.name);
  return names;
}

const char* kind_word(ValueKind kind) {
  switch (kind) {
    case ValueKind::kFile:
      return "file";
    case ValueKind::kFolder:
      return "folder";
    case ValueKind::kWords:
      return "words";
    case ValueKind::kOther:
      return "other";
    case ValueKind::kNone:
      break;
  }
  return "";
}

}  // namespace

std::string bash_completion(const CommandTable& program) {
  const std::string function = function_name(program.name);
  std::string paths, cases;
  visit(program, "", [&](const std::string& path, const CommandTable& command) {
    for (const CommandTable& inner : command.commands) {
      paths += fmt::format("      '{}/{}') command='{}' ;;\n", path, inner.name,
                           path.empty() ? inner.name : path + " " + inner.name);
    }
    std::string values;
    for (const OptionEntry& option : command.options) {
      const ValueKind kind = kind_of(option);
      if (option.positional || kind == ValueKind::kNone) continue;
      values += fmt::format("        {}) kind={}", fmt::join(option.names, "|"), kind_word(kind));
      if (!option.values.empty()) {
        values +=
            fmt::format(" words={}", in_quotes(fmt::format("{}", fmt::join(option.values, " "))));
      }
      if (option.value_optional) values += " may_follow=1";
      values += " ;;\n";
    }
    cases +=
        fmt::format("    '{}')\n      options='{}'\n      commands='{}'\n", path,
                    fmt::join(option_names(command), " "), fmt::join(command_names(command), " "));
    if (!values.empty()) cases += "      case $before in\n" + values + "      esac\n";
    cases += "      ;;\n";
  });
  return fmt::format(R"(# bash completion of {0}, written by `{0} help --completion bash`.
{1}() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  local command='' options='' commands='' kind='' words='' may_follow='' i
  # "--option=value" comes as three words.
  if [[ $current == '=' ]]; then
    current=''
  elif [[ $before == '=' && $COMP_CWORD -ge 2 ]]; then
    before=${{COMP_WORDS[COMP_CWORD-2]}}
  fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "$command/${{COMP_WORDS[i]}}" in
{2}    esac
  done
  case $command in
{3}  esac
  COMPREPLY=()
  if [[ $current == -* && ( -z $kind || -n $may_follow ) ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
  elif [[ $kind == words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  elif [[ $kind == folder ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -d -- "$current")
  elif [[ $kind != other ]]; then
    if [[ -z $kind && -n $commands ]]; then
      mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
    else
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
  fi
}}
complete -F {1} {0}
)",
                     program.name, function, paths, cases);
}

namespace {

// Text inside the single quotes of an argument of _arguments: a bracket or a colon would end it.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    if (c == '\'') {
      out += "\u2019";
    } else {
      out += c == '\n' ? ' ' : c;
    }
  }
  return out;
}

std::string zsh_action(const OptionEntry& option) {
  switch (kind_of(option)) {
    case ValueKind::kWords:
      return fmt::format("({})", fmt::join(option.values, " "));
    case ValueKind::kFolder:
      return "_files -/";
    case ValueKind::kFile:
      return "_files";
    default:
      return "";
  }
}

std::string zsh_arguments(const CommandTable& command) {
  std::string text;
  for (const OptionEntry& option : command.options) {
    const std::string value = option.value.empty()
                                  ? ""
                                  : fmt::format("{}:{}:{}", option.value_optional ? ":" : "",
                                                zsh_text(option.value), zsh_action(option));
    if (option.positional) {
      text += fmt::format(" \\\n        '{}:{}:{}'", option.repeated ? "*" : "",
                          zsh_text(option.names.front()), zsh_action(option));
      continue;
    }
    for (const std::string& name : option.names) {
      text += fmt::format(" \\\n        '({}){}{}[{}]{}'", fmt::join(option.names, " "), name,
                          name.starts_with("--") && !option.value.empty() ? "=" : "",
                          zsh_text(option.description), value);
    }
  }
  return text;
}

std::string zsh_commands(const CommandTable& command, const std::string& indent) {
  std::string text;
  for (const CommandTable& one : command.commands) {
    text += fmt::format("{}'{}:{}'\n", indent, one.name, zsh_text(one.description));
  }
  return text;
}

// The function of a command, and those of its own commands.
void add_zsh_function(const std::string& function, const CommandTable& command,
                      std::string& functions) {
  if (command.commands.empty()) {
    functions +=
        fmt::format("{}() {{\n  _arguments -s{}\n}}\n\n", function, zsh_arguments(command));
    return;
  }
  std::string cases;
  for (const CommandTable& one : command.commands) {
    const std::string inner = function + "_" + one.name;
    add_zsh_function(inner, one, functions);
    cases += fmt::format("        {}) {} ;;\n", one.name, inner);
  }
  functions +=
      fmt::format(R"({0}() {{
  local context state line
  local -a commands
  _arguments -C{1} \
        '1: :->command' '*:: :->rest'
  case $state in
    command)
      commands=(
{2}      )
      _describe command commands
      ;;
    rest)
      case $words[1] in
{3}      esac
      ;;
  esac
}}

)",
                  function, zsh_arguments(command), zsh_commands(command, "        "), cases);
}

}  // namespace

std::string zsh_completion(const CommandTable& program) {
  std::string functions;
  const std::string function = function_name(program.name);
  add_zsh_function(function, program, functions);
  return fmt::format(
      "#compdef {0}\n# zsh completion of {0}, written by `{0} help --completion zsh`.\n\n{1}"
      "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n  {2} \"$@\"\nelse\n  compdef {2} "
      "{0}\n"
      "fi\n",
      program.name, functions, function);
}

std::string fish_completion(const CommandTable& program) {
  std::string text = fmt::format(
      "# fish completion of {0}, written by `{0} help --completion fish`.\n", program.name);
  visit(program, "", [&](const std::string& path, const CommandTable& command) {
    std::string when = path.empty() ? "__fish_use_subcommand" : "";
    const size_t space = path.find(' ');
    if (!path.empty()) {
      when = "__fish_seen_subcommand_from " + path.substr(0, space);
      if (space != std::string::npos) {
        when += "; and __fish_seen_subcommand_from " + path.substr(space + 1);
      } else if (!command.commands.empty()) {
        when += fmt::format("; and not __fish_seen_subcommand_from {}",
                            fmt::join(command_names(command), " "));
      }
    }
    const std::string head = fmt::format("complete -c {} -n {}", program.name, in_quotes(when));
    for (const CommandTable& one : command.commands) {
      text += fmt::format("{} -f -a {} -d {}\n", head, one.name, in_quotes(one.description));
    }
    for (const OptionEntry& option : command.options) {
      if (option.positional) continue;
      std::string names;
      for (const std::string& name : option.names) {
        names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      std::string value;
      switch (kind_of(option)) {
        case ValueKind::kNone:
          break;
        case ValueKind::kWords:
          value =
              fmt::format(" -x -a {}", in_quotes(fmt::format("{}", fmt::join(option.values, " "))));
          break;
        case ValueKind::kFolder:
          value = " -x -a '(__fish_complete_directories)'";
          break;
        case ValueKind::kFile:
          value = option.value_optional ? "" : " -r -F";
          break;
        case ValueKind::kOther:
          value = option.value_optional ? "" : " -x";
      }
      text += fmt::format("{}{}{} -d {}\n", head, names, value, in_quotes(option.description));
    }
  });
  return text;
}

}  // namespace asmlp::cli
