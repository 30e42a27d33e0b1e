#include "asmlp/cli_torch/dense_model.h"

#include <cmath>

#include "asmlp/cli/options/parse_pair.h"

namespace asmlp::cli {

void add_dense_model_options(CLI::App& app, ModelOptions& model, int& threads) {
  add_model_options(app, model);
  add_class_map_option(app, model);
  app.add_option("-j,--threads", threads, "threads; 0 takes every usable core (default)")
      ->check(CLI::Range(0, 256))
      ->type_name("N")
      ->group("Execution");
}

void add_input_size_option(CLI::App& app, std::string& size) {
  app.add_option("--img-size", size,
                 "largest short and long side of the network's input in pixels; one number is the "
                 "short side, and the long one keeps its ratio to it (default: the model's)")
      ->type_name("N|SHORT,LONG")
      ->group("Execution");
}

void set_input_size(DenseInput& input, const std::string& size) {
  if (size.empty()) return;
  const auto [short_side, long_side] = parse_pair("--img-size", size, ',');
  const bool both = size.find(',') != std::string::npos;
  const double ratio = double(input.long_side) / input.short_side;
  const DenseInput own = input;
  input.short_side = short_side;
  input.long_side = both ? long_side : static_cast<int>(std::lround(short_side * ratio));
  require(
      input.short_side >= 1 && input.long_side >= input.short_side && input.long_side <= 1 << 14,
      ErrorCode::kInvalidArgument,
      "--img-size {}: the sides must be 1..{}, the second no shorter than the first", size,
      1 << 14);
  print_note(fmt::format("--img-size overrides the model's input of {} x {} pixels", own.short_side,
                         own.long_side));
}

NamedFile file_of(const ModelOptions& options, Task task) {
  if (!options.weights.empty()) return {options.weights, false};
  if (!options.model.empty()) {
    std::error_code ignored;
    require(std::filesystem::exists(options.model, ignored) || !is_zoo_name(options.model),
            ErrorCode::kNotFound,
            "--model {} names an architecture, its weights are not bundled; add --weights FILE",
            options.model);
    return {options.model, false};
  }
  const NamedFile bundled{bundled_model(task), true};
  print_note("using the bundled model " + bundled.path.string());
  return bundled;
}

}  // namespace asmlp::cli
