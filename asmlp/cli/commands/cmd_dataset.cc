// asmlp dataset: makes and describes data sets.
#include <memory>

#include "asmlp/cli/commands/commands.h"
#include "asmlp/cli/commands/dataset_commands.h"

namespace asmlp::cli {

Command add_dataset(CLI::App& program) {
  CLI::App* app = add_subcommand(program, "dataset", "Make data sets: tar shards, synthetic images",
                                 "`asmlp dataset COMMAND --help` has the options of a command.");
  app->require_subcommand(1);
  const auto commands = std::make_shared<std::vector<Command>>();
  for (const AddCommand& add :
       {AddCommand(add_dataset_shards), AddCommand(add_dataset_index),
        AddCommand(add_dataset_imagenet_like), AddCommand(add_dataset_scenes)}) {
    commands->push_back(add(*app));
  }
  return {app, [commands] {
            int status = 0;
            for (const Command& command : *commands) {
              if (command.app->parsed()) status = command.run();
            }
            return status;
          }};
}

}  // namespace asmlp::cli
