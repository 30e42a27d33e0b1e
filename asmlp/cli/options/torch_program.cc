#include "asmlp/cli/options/torch_program.h"

#include <vector>

#include "asmlp/core/error.h"

namespace asmlp::cli {

std::filesystem::path find_torch_program(const std::string& what) {
  return find_program(kTorchProgram, what);
}

void exec_torch(const std::string& what, Arguments arguments, std::optional<Task> task) {
  const std::filesystem::path program = find_torch_program(what);
  const std::string decided = fmt::format("--task={}", task ? to_string(*task) : "");
  std::vector<const char*> words;
  for (size_t i = 1; i < arguments.size(); ++i) {
    words.push_back(arguments[i]);
    if (i == 1 && task) words.push_back(decided.c_str());  // before the user's own, if any: it wins
  }
  exec_program(program, words);
}

}  // namespace asmlp::cli
