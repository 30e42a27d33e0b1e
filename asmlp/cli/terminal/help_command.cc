#include "asmlp/cli/terminal/help_command.h"

#include <filesystem>
#include <memory>
#include <ostream>

#include "asmlp/cli/terminal/completion.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/man_page.h"
#include "asmlp/core/atomic_file.h"
#include "asmlp/core/error.h"
#include "asmlp/schema/nearest.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

struct HelpOptions {
  std::vector<std::string> commands;
  bool man = false, table = false;
  std::string completion;  // a shell
  std::string folder;      // of --write
};

void write_text(const fs::path& path, const std::string& text) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  require(!error, ErrorCode::kIo, "{}: cannot make this folder: {}", path.parent_path().string(),
          error.message());
  write_file_atomically(path, [&](std::ostream& out) { out << text; });
}

std::string completion_of(const CommandTable& program, const std::string& shell) {
  if (shell == "bash") return bash_completion(program);
  return shell == "zsh" ? zsh_completion(program) : fish_completion(program);
}

// As they lie below share/ of an installation.
void write_pages(const CommandTable& program, const fs::path& folder) {
  const std::string& name = program.name;
  write_text(folder / "man/man1" / (name + ".1"), man_page(program, ASMLP_VERSION));
  for (const CommandTable& command : program.commands) {
    if (!has_page(command)) continue;
    write_text(folder / "man/man1" / (name + "-" + command.name + ".1"),
               man_page(program, {command.name}, ASMLP_VERSION));
  }
  write_text(folder / "bash-completion/completions" / name, bash_completion(program));
  write_text(folder / "zsh/site-functions" / ("_" + name), zsh_completion(program));
  write_text(folder / "fish/vendor_completions.d" / (name + ".fish"), fish_completion(program));
}

// The subcommand of that name; CLI::ParseError with the nearest name when there is none.
const CLI::App& subcommand(const CLI::App& app, const std::string& name) {
  std::vector<std::string> names;
  for (const CLI::App* one : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (one->get_name() == name) return *one;
    names.push_back(one->get_name());
  }
  throw CLI::ParseError("unknown command '" + name + "'" + did_you_mean(name, names),
                        CLI::ExitCodes::ExtrasError);
}

// Prints the help of the command at `path`, or has the program print it that knows its options.
int print_help(const CLI::App& program, const std::vector<Command>& commands,
               const std::vector<std::string>& path) {
  if (!path.empty()) {
    const CLI::App* chosen = &subcommand(program, path.front());
    for (const Command& command : commands) {
      if (command.app == chosen && command.help) return command.help();
    }
  }
  print_out(help_text(program, path));
  return kExitOk;
}

int run_help(const CLI::App& program, const std::vector<Command>& commands,
             const HelpOptions& options) {
  const bool made =
      options.man || options.table || !options.completion.empty() || !options.folder.empty();
  if (!made) return print_help(program, commands, options.commands);
  const CommandTable table = table_of_program(program, commands);
  if (options.table) print_out(to_json(table).dump() + '\n');
  if (options.man) {
    print_out(options.commands.empty() ? man_page(table, ASMLP_VERSION)
                                       : man_page(table, options.commands, ASMLP_VERSION));
  }
  if (!options.completion.empty()) print_out(completion_of(table, options.completion));
  if (!options.folder.empty()) write_pages(table, options.folder);
  return kExitOk;
}

}  // namespace

std::string help_text(const CLI::App& program, const std::vector<std::string>& path) {
  const CLI::App* app = &program;
  std::string full_name = program.get_name();
  for (const std::string& name : path) {
    app = &subcommand(*app, name);
    full_name += " " + name;
  }
  // App::help would print that of the command that was parsed, which is `help`.
  return app->get_formatter()->make_help(app, full_name, CLI::AppFormatMode::Normal);
}

std::string version_text(const std::string& program) { return program + " " + ASMLP_VERSION; }

CommandTable table_of_program(const CLI::App& program, const std::vector<Command>& commands) {
  CommandTable table = table_of(program);
  for (CommandTable& one : table.commands) {
    for (const Command& command : commands) {
      if (command.app->get_name() != one.name || !command.table) continue;
      auto known = command.table();
      if (known) {
        one = *std::move(known);
      } else {
        one.options.clear();
      }
    }
  }
  return table;
}

Command add_version(CLI::App& program) {
  CLI::App* app = add_subcommand(program, "version", "Print the version", "");
  const std::string name = program.get_name();
  return {app, [name] {
            print_out(version_text(name) + '\n');
            return kExitOk;
          }};
}

Command add_help(CLI::App& program, const std::vector<Command>& commands) {
  auto options = std::make_shared<HelpOptions>();
  CLI::App* app = add_subcommand(program, "help", "Print the help of a command",
                                 "Example:\n  " + program.get_name() + " help validate");
  app->add_option("command", options->commands, "the command; none: the list of them")
      ->type_name("COMMAND");
  // For the build, which installs what they make.
  const std::string hidden;
  app->add_flag("--man", options->man, "print the manual page")->group(hidden);
  app->add_option("--completion", options->completion, "print the completion of a shell")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->group(hidden);
  app->add_flag("--table", options->table, "print all options as JSON")->group(hidden);
  app->add_option("--write", options->folder, "write all pages and completions into a folder")
      ->group(hidden);
  return {app, [&program, &commands, options] { return run_help(program, commands, *options); }};
}

}  // namespace asmlp::cli
