#include "asmlp/cli/terminal/program.h"

#include <algorithm>
#include <cstring>
#include <sstream>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/terminal/help_command.h"
#include "asmlp/cli/terminal/last_words.h"
#include "asmlp/core/error.h"
#include "asmlp/core/out_of_memory.h"
#include "asmlp/schema/nearest.h"

namespace asmlp::cli {
namespace {

bool wants_json(int argc, const char* const* argv) {
  return std::any_of(argv + 1, argv + argc,
                     [](const char* arg) { return std::strcmp(arg, "--json") == 0; });
}

// CLI11's layout with descriptions wrapped to the width of a page.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(kColumn); }

  std::string make_option_desc(const CLI::Option* option) const override {
    std::istringstream words(option->get_description());
    std::string text;
    size_t length = 0;
    for (std::string word; words >> word;) {
      const bool wrap = length > 0 && length + 1 + word.size() > kPage - kColumn;
      if (length > 0) text += wrap ? '\n' : ' ';
      length = wrap ? word.size() : length + (length > 0 ? 1 : 0) + word.size();
      text += word;
    }
    return text;
  }

 private:
  static constexpr size_t kPage = 100;
  static constexpr size_t kColumn = 34;
};

// Libraries' messages of several lines, which print_error keeps when they are indented.
std::string indented(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (size_t i = 0; (i = text.find('\n', i)) != std::string::npos; i += 3)
    text.insert(i + 1, "  ");
  return text;
}

// Every error leaves through here.
int report(bool json, const std::string& code, const std::string& message, int exit_code) {
  print_error(message);
  if (json) {
    try {
      print_json({{"error", {{"code", code}, {"message", message}}}});
    } catch (...) {
      // Standard output is gone; the text is on standard error and the exit code tells the rest.
    }
  }
  return exit_code;
}

// An exception that is no Error: of other libraries, of the system, or for lack of memory.
int report_other(bool json, const std::exception& error) {
  const ExceptionText told = explain_exception(error);
  if (!told.out_of_memory) return report(json, "internal", indented(told.message), kExitFailed);
  return report(json, "out_of_memory", told.message + "; try a smaller --batch-size or --img-size",
                kExitFailed);
}

// Help and version, which are printed where no exception may leave any more.
int print_page(const std::string& text) {
  try {
    print_out(text);
  } catch (const BrokenPipe&) {
    return kExitBrokenPipe;
  } catch (const Error& error) {
    return report(false, to_string(error.code()), error.what(), kExitFailed);
  }
  return kExitOk;
}

// CLI11's message with the nearest option's name when an unknown one was given.
std::string describe(const CLI::ParseError& error, const CLI::App& program) {
  std::string message = error.what();
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.pop_back();
  const CLI::App* app = &program;
  if (!program.get_subcommands().empty()) app = program.get_subcommands().front();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    std::vector<std::string> names;
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    for (const std::string& extra : program.remaining(true)) {
      if (extra.rfind("--", 0) != 0) continue;
      const std::string word = extra.substr(0, extra.find('='));
      message = "unknown option " + word + did_you_mean(word, names);
      break;
    }
  }
  const std::string path =
      app == &program ? app->get_name() : program.get_name() + " " + app->get_name();
  return message + " (see `" + path + " --help`)";
}

// An empty argument is a shell variable that was not set; taken for an option that was not given,
// it would choose another file than the user meant. (An option whose value may be left out, like
// --resume, has an empty one then.)
void check_not_empty(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_expected_min() == 0) continue;
    for (const std::string& value : option->results()) {
      if (value.empty()) {
        throw CLI::ParseError(option->get_name() + ": is empty; give a value or leave it out",
                              CLI::ExitCodes::ValidationError);
      }
    }
  }
}

int parse_and_run(CLI::App& program, const std::vector<Command>& commands, int argc,
                  const char* const* argv) {
  if (argc > 1 && argv[1][0] != '-') {
    std::vector<std::string> names;
    for (const Command& command : commands) names.push_back(command.app->get_name());
    const std::string word = argv[1];
    if (std::find(names.begin(), names.end(), word) == names.end()) {
      throw CLI::ParseError("unknown command '" + word + "'" + did_you_mean(word, names),
                            CLI::ExitCodes::ExtrasError);
    }
  }
  program.parse(argc, argv);
  for (const Command& command : commands) {
    if (!command.app->parsed()) continue;
    check_not_empty(*command.app);
    return command.run();
  }
  throw CLI::ParseError("a command is required", CLI::ExitCodes::RequiredError);
}

}  // namespace

CLI::App* add_subcommand(CLI::App& program, const std::string& name, const std::string& description,
                         const std::string& footer) {
  CLI::App* app = program.add_subcommand(name, description);
  app->footer(footer);
  app->set_help_flag("-h,--help", "print this help and exit");
  app->add_flag_callback(
      "-q,--quiet", [] { set_quiet(true); },
      "print results and errors only: no progress, no notes");
  return app;
}

int run_program(const std::string& name, const std::string& description,
                const std::vector<AddCommand>& commands, int argc, const char* const* argv) {
  open_standard_streams();
  start_console(name);
  report_uncaught_exceptions();
  const bool json = wants_json(argc, argv);
  CLI::App program(description, name);
  program.set_help_flag("-h,--help", "print this help and exit");
  program.set_version_flag("-V,--version", version_text(name), "print the version and exit");
  program.require_subcommand(0, 1);
  program.formatter(std::make_shared<HelpFormatter>());
  program.footer("Run `" + name +
                 " help COMMAND` for the options of a command.\n"
                 "Exit code: 0 done, 1 an error or inputs that failed, 2 wrong usage.");
  std::vector<Command> added;
  try {
    for (const AddCommand& add : commands) added.push_back(add(program));
    added.push_back(add_help(program, added));
    added.push_back(add_version(program));
    return parse_and_run(program, added, argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::vector<std::string> path;
    for (const CLI::App* app = &program; !app->get_subcommands().empty();) {
      app = app->get_subcommands().front();
      path.push_back(app->get_name());
    }
    return print_page(help_text(program, path));
  } catch (const CLI::Success& success) {  // --version
    return print_page(std::string(success.what()) + '\n');
  } catch (const CLI::ParseError& error) {
    return report(json, "usage", describe(error, program), kExitUsage);
  } catch (const Error& error) {
    const bool usage = error.code() == ErrorCode::kInvalidArgument;
    return report(json, to_string(error.code()), error.what(), usage ? kExitUsage : kExitFailed);
  } catch (const BrokenPipe&) {
    return kExitBrokenPipe;
  } catch (const std::exception& error) {
    return report_other(json, error);
  }
}

}  // namespace asmlp::cli
