#include "asmlp/cli_torch/dense_model.h"

namespace asmlp::cli {

void add_dense_model_options(CLI::App& app, ModelOptions& model, int& threads) {
  add_model_options(app, model);
  add_class_map_option(app, model);
  app.add_option("-j,--threads", threads, "threads; 0 takes every usable core (default)")
      ->check(CLI::Range(0, 256))
      ->type_name("N")
      ->group("Execution");
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
