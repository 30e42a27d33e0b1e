#include "asmlp/cli/options/model_task.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "asmlp/cli/options/options.h"
#include "asmlp/cli/options/raw_option.h"
#include "asmlp/core/error.h"
#include "asmlp/weights/weight_file.h"

namespace asmlp::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* name_of(ModelTask task) {
  return task == ModelTask::kDetect    ? "detector"
         : task == ModelTask::kSegment ? "segmentor"
                                       : "model";
}

// Nothing for a file that is none of weights.
std::optional<ModelTask> described_task(const fs::path& file) {
  const std::string extension = file.extension().string();
  try {
    for (const char* known : {".pth", ".pt", ".bin", ".safetensors"}) {
      if (extension == known) return static_cast<ModelTask>(read_weights(file).task());
    }
  } catch (const Error&) {
    // Whoever loads it says what is wrong.
  }
  return std::nullopt;
}

// First by name, so that the choice does not depend on the order of directory entries.
std::optional<fs::path> first_model_in(const fs::path& folder, ModelTask task) {
  std::error_code ignored;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".safetensors") found.push_back(entry.path());
  }
  std::ranges::sort(found);
  for (const fs::path& file : found) {
    if (described_task(file).value_or(ModelTask::kClassify) == task) return file;
  }
  return std::nullopt;
}

ModelTask validated_task(std::span<const char* const> arguments) {
  const auto arch = raw_option(arguments, "--arch");
  if (arch && arch->starts_with("upernet")) return ModelTask::kSegment;
  auto model = raw_option(arguments, "--model");
  if (!model) model = raw_option(arguments, "-m");
  const auto task = model ? described_task(*model) : std::nullopt;
  if (task) return *task;
  const bool coco = std::ranges::any_of(arguments.subspan(2), [](const char* word) {
    std::error_code ignored;
    return fs::is_regular_file(fs::path(word) / "annotations/instances_val2017.json", ignored);
  });
  return coco ? ModelTask::kDetect : ModelTask::kClassify;
}

}  // namespace

fs::path bundled_model(ModelTask task) {
  const char* from_environment = std::getenv("ASMLP_MODEL_DIR");
  if (from_environment != nullptr && *from_environment != '\0') {
    const auto model = first_model_in(from_environment, task);
    require(model.has_value(), ErrorCode::kNotFound,
            "no *.safetensors of a {} in {} (ASMLP_MODEL_DIR); name a file with --model",
            name_of(task), from_environment);
    return *model;
  }
  for (const char* place : {"../models", "../../models", "../share/asmlp/models"}) {
    const auto model = first_model_in((executable_folder() / place).lexically_normal(), task);
    if (model) return *model;
  }
  fail(ErrorCode::kNotFound,
       "no bundled {} near {}; name a weight file with --model FILE, or its folder with "
       "ASMLP_MODEL_DIR",
       name_of(task), executable_folder().string());
}

ModelTask commanded_task(std::span<const char* const> arguments) {
  const std::string_view command = arguments.size() < 2 ? "" : arguments[1];
  if (command == "validate") return validated_task(arguments);
  if (command != "convert") return ModelTask::kClassify;
  for (const char* word : arguments.subspan(2)) {
    if (const auto task = described_task(word)) return *task;
  }
  return ModelTask::kClassify;
}

}  // namespace asmlp::cli
