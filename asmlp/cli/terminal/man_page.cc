#include "asmlp/cli/terminal/man_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <sstream>

#include "asmlp/core/error.h"

namespace asmlp::cli {
namespace {

// Text that roff shows as it is.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '`') {
      out += "\\(ga";
    } else if (c == '\'') {
      out += "\\(aq";
    } else if (c == '~') {
      out += "\\(ti";
    } else if (c == '^') {
      out += "\\(ha";
    } else {
      out += c;
    }
  }
  return out;
}

// One line of text: a dot at its beginning is no request.
std::string line(const std::string& text) {
  const std::string safe = escaped(text);
  return (safe.starts_with('.') ? "\\&" : "") + safe + '\n';
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string value_of(const OptionEntry& option) {
  if (option.value.empty()) return "";
  const std::string value = "\\fI" + escaped(option.value) + "\\fR";
  return option.value_optional ? "[" + value + "]" : value;
}

// ".TP" with the names, then what it is.
std::string option_text(const OptionEntry& option) {
  std::string head;
  if (option.positional) {
    head = "\\fI" + escaped(option.names.front()) + "\\fR";
    if (option.repeated) head += " ...";
  } else {
    for (const std::string& name : option.names) {
      head += (head.empty() ? "" : ", ") + ("\\fB" + escaped(name) + "\\fR");
    }
    if (!option.value.empty()) head += " " + value_of(option);
  }
  std::string text = ".TP\n" + head + '\n' + line(option.description);
  std::string more;
  for (const std::string& value : option.values) more += (more.empty() ? "" : ", ") + value;
  if (!more.empty()) more = "One of: " + more + ".";
  if (!option.range.empty()) more = option.range + ".";
  if (!option.initial.empty())
    more += (more.empty() ? "" : " ") + ("Default: " + option.initial + ".");
  if (!more.empty()) text += ".br\n" + line(more);
  return text;
}

std::string options_text(const CommandTable& command, bool sections) {
  std::string text;
  std::vector<std::string> groups;
  for (const OptionEntry& option : command.options) {
    if (option.positional) continue;
    if (std::ranges::find(groups, option.group) == groups.end()) groups.push_back(option.group);
  }
  for (const OptionEntry& option : command.options) {
    if (option.positional) text += option_text(option);
  }
  for (const std::string& group : groups) {
    if (sections && group != "Options") text += ".SS " + escaped(group) + '\n';
    for (const OptionEntry& option : command.options) {
      if (!option.positional && option.group == group) text += option_text(option);
    }
  }
  return text;
}

std::string synopsis(const std::string& full_name, const CommandTable& command) {
  std::string text = "\\fB" + escaped(full_name) + "\\fR [\\fIoptions\\fR]";
  for (const OptionEntry& option : command.options) {
    if (!option.positional) continue;
    std::string name = "\\fI" + escaped(option.names.front()) + "\\fR";
    if (option.repeated) name += " ...";
    text += option.required ? " " + name : " [" + name + "]";
  }
  if (!command.commands.empty()) text += " \\fIcommand\\fR ...";
  return text + '\n';
}

// The footer: sentences first, then, after "Example(s):", command lines.
std::string footer_text(const std::string& footer) {
  std::istringstream lines(footer);
  std::string text, examples;
  bool in_examples = false;
  for (std::string one; std::getline(lines, one);) {
    if (one == "Examples:" || one == "Example:") {
      in_examples = true;
    } else if (in_examples) {
      const size_t start = one.find_first_not_of(' ');
      examples += line(start == std::string::npos ? "" : one.substr(start));
    } else if (one.empty()) {
      text += ".PP\n";
    } else {
      text += line(one);
    }
  }
  if (!text.empty()) text = ".SH NOTES\n" + text;
  if (!examples.empty()) text += ".SH EXAMPLES\n.nf\n" + examples + ".fi\n";
  return text;
}

std::string heading(const std::string& page, const std::string& version) {
  return fmt::format(".TH \"{}\" \"1\" \"\" \"asmlp {}\" \"User Commands\"\n", escaped(upper(page)),
                     escaped(version));
}

constexpr const char* kExitStatus =
    ".SH EXIT STATUS\n.TP\n0\nDone.\n.TP\n1\nAn error, or some of the inputs failed.\n.TP\n2\n"
    "Wrong usage.\n";

}  // namespace

bool has_page(const CommandTable& command) {
  return command.name != "help" && command.name != "version" && !command.options.empty();
}

std::string man_page(const CommandTable& program, const std::string& version) {
  std::string text = heading(program.name, version);
  text += ".SH NAME\n" + escaped(program.name) + " \\- " + escaped(program.description) + '\n';
  text += ".SH SYNOPSIS\n" + synopsis(program.name, program);
  text += ".SH COMMANDS\n";
  std::string see_also;
  for (const CommandTable& command : program.commands) {
    text += ".TP\n\\fB" + escaped(command.name) + "\\fR\n" + line(command.description);
    if (!has_page(command)) continue;
    see_also += fmt::format("{}.BR {} (1)", see_also.empty() ? "" : " ,\n",
                            escaped(program.name + "-" + command.name));
  }
  text += ".SH OPTIONS\n" + options_text(program, false) + kExitStatus;
  return text + ".SH SEE ALSO\n" + see_also + '\n';
}

std::string man_page(const CommandTable& program, const std::vector<std::string>& path,
                     const std::string& version) {
  const CommandTable* command = &program;
  std::string page = program.name, full_name = program.name;
  for (const std::string& name : path) {
    command = command->find(name);
    require(command != nullptr, ErrorCode::kNotFound, "{}: has no command '{}'", full_name, name);
    page += "-" + name;
    full_name += " " + name;
  }
  std::string text = heading(page, version);
  text += ".SH NAME\n" + escaped(page) + " \\- " + escaped(command->description) + '\n';
  text += ".SH SYNOPSIS\n" + synopsis(full_name, *command);
  for (const CommandTable& inner : command->commands) {
    text += ".br\n" + synopsis(full_name + " " + inner.name, inner);
  }
  text += ".SH OPTIONS\n" + options_text(*command, true);
  for (const CommandTable& inner : command->commands) {
    text += ".SH " + escaped(upper(full_name + " " + inner.name)) + '\n' + line(inner.description);
    text += options_text(inner, false);
    std::istringstream lines(inner.footer);
    text += ".PP\n.nf\n";
    for (std::string one; std::getline(lines, one);) text += line(one);
    text += ".fi\n";
  }
  return text + footer_text(command->footer) + kExitStatus + ".SH SEE ALSO\n.BR " +
         escaped(program.name) + " (1)\n";
}

}  // namespace asmlp::cli
