#include "asmlp/cli/segmentor_arguments.h"

#include <optional>
#include <string>
#include <string_view>

#include "asmlp/cli/model_task.h"

namespace asmlp::cli {
namespace {

// Of "NAME VALUE" and "NAME=VALUE".
std::optional<std::string> value_of(std::string_view name, int argc, const char* const* argv) {
  for (int i = 2; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == name && i + 1 < argc) return argv[i + 1];
    if (word.starts_with(name) && word.substr(name.size()).starts_with('=')) {
      return std::string(word.substr(name.size() + 1));
    }
  }
  return std::nullopt;
}

}  // namespace

bool validates_segmentor(int argc, const char* const* argv) {
  if (argc < 2 || std::string_view(argv[1]) != "validate") return false;
  const auto arch = value_of("--arch", argc, argv);
  if (arch) return arch->starts_with("upernet");
  auto model = value_of("--model", argc, argv);
  if (!model) model = value_of("-m", argc, argv);
  return model && task_of(*model) == ModelTask::kSegment;
}

}  // namespace asmlp::cli
