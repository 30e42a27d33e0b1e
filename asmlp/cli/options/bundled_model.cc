#include "asmlp/cli/options/bundled_model.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

#include "asmlp/cli/terminal/process.h"
#include "asmlp/core/error.h"
#include "asmlp/weights/weight_file.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

// First by name, so that the choice does not depend on the order of directory entries.
std::optional<fs::path> first_model_in(const fs::path& folder, Task task) {
  std::error_code ignored;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".safetensors") found.push_back(entry.path());
  }
  std::ranges::sort(found);
  for (const fs::path& file : found) {
    try {
      if (read_weights(file).task() == task) return file;
    } catch (const Error&) {
      // Not a model; another file may be.
    }
  }
  return std::nullopt;
}

}  // namespace

fs::path bundled_model(Task task) {
  const char* from_environment = std::getenv("ASMLP_MODEL_DIR");
  if (from_environment != nullptr && *from_environment != '\0') {
    const auto model = first_model_in(from_environment, task);
    require(model.has_value(), ErrorCode::kNotFound,
            "no *.safetensors of a {} in {} (ASMLP_MODEL_DIR); name a file with --model",
            model_kind(task), from_environment);
    return *model;
  }
  for (const char* place : {"../models", "../../models", "../share/asmlp/models"}) {
    const auto model =
        first_model_in((this_program().parent_path() / place).lexically_normal(), task);
    if (model) return *model;
  }
  fail(ErrorCode::kNotFound,
       "no bundled {} near {}; name a weight file with --model FILE, or its folder with "
       "ASMLP_MODEL_DIR",
       model_kind(task), this_program().parent_path().string());
}

std::string known_classes(const fs::path& file, const std::string& name,
                          const std::vector<std::string>& classes, int count) {
  constexpr size_t kAll = 12, kFew = 5;
  const size_t shown = classes.size() <= kAll ? classes.size() : kFew;
  return fmt::format("{} knows {} classes only{}{}{} (`asmlp info {}` says more)",
                     name.empty() ? file.stem().string() : name, count, shown > 0 ? ": " : "",
                     fmt::join(std::span(classes).first(shown), ", "),
                     shown < classes.size() ? ", ..." : "", file.string());
}

}  // namespace asmlp::cli
