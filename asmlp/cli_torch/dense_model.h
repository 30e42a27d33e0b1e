// The detector or segmentor that a command line names: what is the same for both.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "asmlp/cli/options/bundled_model.h"
#include "asmlp/cli/options/class_names.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/cli/terminal/console.h"
#include "asmlp/core/error.h"
#include "asmlp/torch/io/dense_file.h"
#include "asmlp/torch/nn/conv_module.h"
#include "asmlp/torch/ops/runtime.h"

namespace asmlp::cli {

// --model, --weights, --config, --shift-size, --class-map, and --threads.
void add_dense_model_options(CLI::App& app, ModelOptions& model, int& threads);

// --img-size: N or SHORT,LONG instead of the sides of the model's own input; "" changes nothing.
// Error(kInvalidArgument) for other text, or a long side below the short one.
void add_input_size_option(CLI::App& app, std::string& size);
void set_input_size(DenseInput& input, const std::string& size);

// The file that the options name, or the bundled model of the task, which a note on standard error
// names.
struct NamedFile {
  std::filesystem::path path;
  bool bundled = false;
};
NamedFile file_of(const ModelOptions& options, Task task);

// What the tensors of the file do not say: the architecture (--config, or --model NAME beside
// --weights) and the shift size. "" is not said here either.
template <typename Spec>
DenseLoadOptions<Spec> dense_load_options(const ModelOptions& options,
                                          Spec (*resolve)(const std::string&)) {
  DenseLoadOptions<Spec> load;
  const std::string& architecture =
      options.config.empty() && !options.weights.empty() ? options.model : options.config;
  if (!architecture.empty()) load.spec = resolve(architecture);
  if (!options.shift_size.empty()) load.shift_size = parse_shift_size(options.shift_size);
  return load;
}

template <typename Spec, typename Net>
struct LoadedDense {
  Spec spec;         // its classes are named when anything names them
  Net net{nullptr};  // its batch norms are folded: not to be saved
  std::filesystem::path file;
  bool bundled = false;
  int threads = 0;         // as they were set
  int64_t parameters = 0;  // before folding
};

// Sets LibTorch's threads and loads the model. Errors: those of `load`, `resolve`, name_classes and
// bundled_model.
template <typename Spec, typename Net>
LoadedDense<Spec, Net> load_dense_model(
    const ModelOptions& options, int threads, Task task, Spec (*resolve)(const std::string&),
    nn::DenseFile<Spec, Net> (*load)(const std::filesystem::path&, const DenseLoadOptions<Spec>&)) {
  LoadedDense<Spec, Net> loaded;
  const NamedFile named = file_of(options, task);
  loaded.file = named.path;
  loaded.bundled = named.bundled;
  loaded.threads = nn::configure_runtime(threads);
  auto file = load(loaded.file, dense_load_options(options, resolve));
  loaded.net = file.net;
  loaded.parameters = nn::parameter_count(*loaded.net);
  nn::fold_batch_norm(*loaded.net);
  Description described{std::move(file.spec)};
  std::vector<std::string> notes = std::move(file.notes);
  name_classes(described, options.class_map, loaded.file, &notes);
  for (const std::string& note : notes) print_note(note);
  loaded.spec = std::get<Spec>(std::move(described.model));
  return loaded;
}

}  // namespace asmlp::cli
