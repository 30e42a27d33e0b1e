// The detector or segmentor that a command line names: what is the same for both.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "asmlp/cli/terminal/console.h"
#include "asmlp/cli/options/model_task.h"
#include "asmlp/cli/options/options.h"
#include "asmlp/core/error.h"
#include "asmlp/model/detector_config.h"
#include "asmlp/torch/nn/conv_module.h"
#include "asmlp/torch/io/dense_file.h"
#include "asmlp/torch/ops/runtime.h"
#include "asmlp/model/segmentor_config.h"

namespace asmlp::cli {

struct DenseModelOptions {
  std::string model;       // a file
  std::string arch;        // zoo name, JSON or YAML file: for files that do not say
  std::string shift_size;  // "5" or "5,7", likewise
  std::string class_map;   // one class name per line
  int threads = 0;         // 0: all usable cores
};
// --model, --arch, --shift-size, --class-map, --threads; `kind` is "detector" or "segmentor".
void add_dense_model_options(CLI::App& app, DenseModelOptions& options, const std::string& kind);

// Classes of the data sets that the published networks are for.
std::vector<std::string> usual_classes(const DetectorSpec&);    // COCO's 80
std::vector<std::string> usual_classes(const SegmentorSpec&);  // ADE20K's 150

// Gives `spec`, of the file `file`, the names in the file `class_map`, or, when that is "" and it
// has none, the usual ones if it has as many. Error(kMismatch) for another number of lines.
template <typename Spec>
void name_classes(Spec& spec, const std::string& class_map, const std::filesystem::path& file) {
  const auto count = static_cast<size_t>(spec.config.num_classes);
  if (!class_map.empty()) {
    spec.classes = read_class_map(class_map);
    require(spec.classes.size() == count, ErrorCode::kMismatch,
            "{} names {} classes, the model {} has {}", class_map, spec.classes.size(),
            file.string(), count);
  } else if (spec.classes.empty()) {
    std::vector<std::string> usual = usual_classes(spec);
    if (usual.size() == count) spec.classes = std::move(usual);
  }
}

// What the tensors of a file do not say; "" is not said here either.
template <typename Spec>
nn::DenseLoadOptions<Spec> dense_load_options(const std::string& arch,
                                              const std::string& shift_size,
                                              Spec (*resolve)(const std::string&)) {
  nn::DenseLoadOptions<Spec> load;
  if (!arch.empty()) load.spec = resolve(arch);
  if (!shift_size.empty()) load.shift_size = parse_shift_size(shift_size);
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

// Sets LibTorch's threads and loads --model, or the bundled model of the task, which a note on
// standard error names. Errors: those of `load`, `resolve`, name_classes and bundled_model.
template <typename Spec, typename Net>
LoadedDense<Spec, Net> load_dense_model(
    const DenseModelOptions& options, ModelTask task, Spec (*resolve)(const std::string&),
    nn::DenseFile<Spec, Net> (*load)(const std::filesystem::path&,
                                     const nn::DenseLoadOptions<Spec>&)) {
  LoadedDense<Spec, Net> loaded;
  loaded.bundled = options.model.empty();
  loaded.file = loaded.bundled ? bundled_model(task) : std::filesystem::path(options.model);
  if (loaded.bundled) print_note("using the bundled model " + loaded.file.string());
  loaded.threads = nn::configure_runtime(options.threads);
  auto file = load(loaded.file, dense_load_options(options.arch, options.shift_size, resolve));
  loaded.spec = std::move(file.spec);
  loaded.net = file.net;
  loaded.parameters = nn::parameter_count(*loaded.net);
  nn::fold_batch_norm(*loaded.net);
  name_classes(loaded.spec, options.class_map, loaded.file);
  return loaded;
}

}  // namespace asmlp::cli
