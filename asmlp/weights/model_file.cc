#include "asmlp/weights/model_file.h"

#include "asmlp/core/error.h"
#include "asmlp/model/description/visit_spec.h"
#include "asmlp/model/params.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/dense_file.h"
#include "asmlp/weights/quantized.h"
#include "asmlp/weights/safetensors.h"

namespace asmlp {
namespace {

void check_values(ModelFile& model, const ModelFileOptions& options, const std::string& what) {
  if (options.non_finite == NonFinite::kRefuse) return require_finite(model.tensors, what);
  std::string problem = non_finite_values(model.tensors);
  if (!problem.empty()) model.notes.push_back(problem + ".");
}

ModelFile load_classifier(const WeightFile& file, const ModelFileOptions& options) {
  const auto own = file.description();
  const auto* architecture = own ? std::get_if<Architecture>(&own->model) : nullptr;
  if (architecture != nullptr && !is_as_mlp(*architecture)) {
    ModelFile model{*own, file.tensors, file.notes};
    check_values(model, options, file.path.string());
    return model;
  }
  CheckpointOptions load;
  load.non_finite = options.non_finite;
  load.shift_size = options.shift_size;
  if (options.description) {
    const auto* given = std::get_if<Architecture>(&options.description->model);
    require(given != nullptr && is_as_mlp(*given), ErrorCode::kUnsupported,
            "{}: weights of a classifier are AS-MLP's; '{}' is none", file.path.string(),
            options.description->name());
    load.spec = given->spec;
  }
  ModelFile model;
  Checkpoint checkpoint = load_checkpoint(file, load, &model.notes);
  model.description = {Architecture{std::move(checkpoint.spec), AsMlpFamily{}}};
  model.tensors = std::move(checkpoint.tensors);
  return model;
}

template <typename Spec>
ModelFile load_dense(const WeightFile& file, const ModelFileOptions& options,
                     Spec (*spec_of_file)(const WeightFile&, const DenseLoadOptions<Spec>&)) {
  DenseLoadOptions<Spec> load;
  load.shift_size = options.shift_size;
  if (options.description) {
    const auto* given = std::get_if<Spec>(&options.description->model);
    require(given != nullptr, ErrorCode::kMismatch, "{}: its tensors are not those of the {} '{}'",
            file.path.string(), model_kind(options.description->task()),
            options.description->name());
    load.spec = *given;
  }
  const Spec spec = spec_of_file(file, load);
  check_network(file.tensors, spec.config, file.path.string());
  ModelFile model{{spec}, file.tensors, file.notes};
  check_values(model, options, file.path.string());
  if (!options.description && !file.description()) {
    model.notes.push_back(
        fmt::format("{} by its tensors; another architecture can be given", spec.name));
  }
  return model;
}

}  // namespace

ModelFile load_model_file(const std::filesystem::path& path, const ModelFileOptions& options) {
  return load_model_file(read_weights(path), options);
}

ModelFile load_model_file(const WeightFile& file, const ModelFileOptions& options) {
  switch (file.task()) {
    case Task::kDetect:
      return load_dense(file, options, detector_of_file);
    case Task::kSegment:
      return load_dense(file, options, segmentor_of_file);
    case Task::kClassify:
      break;
  }
  return load_classifier(file, options);
}

void dequantize(ModelFile& model) {
  if (!is_quantized(model.tensors)) return;
  model.tensors = dequantized(model.tensors);
  visit_spec(model.description, [](auto& spec) { spec.quantization = {}; });
  model.notes.push_back(
      "int8 weights were taken as the fp32 numbers that they stand for; their rounding stays");
}

void save_model_file(const std::filesystem::path& path, const ModelFile& model) {
  validate(model.description);
  write_safetensors(path, model.tensors,
                    {{"format", "pt"}, {kDescriptionKey, to_json(model.description)}});
}

}  // namespace asmlp
