#include "asmlp/weights/checkpoint.h"

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/model/description/model_name.h"
#include "asmlp/weights/hints.h"
#include "asmlp/weights/quantized.h"
#include "asmlp/weights/safetensors.h"
#include "asmlp/weights/weight_file.h"

namespace asmlp {
namespace {

using Notes = std::vector<std::string>;

// The authors' detection and segmentation backbones have one norm per output level instead of the
// final norm; the last level's is the same operation on the same map.
void use_output_norms(TensorMap& tensors, Notes& notes) {
  int last = -1;
  for (int level = 0; level < 8; ++level) {
    if (tensors.contains(fmt::format("norm{}.weight", level))) last = level;
  }
  if (last < 0 || tensors.contains("norm.weight")) return;
  for (const char* part : {"weight", "bias"}) {
    const auto found = tensors.find(fmt::format("norm{}.{}", last, part));
    if (found != tensors.end()) tensors[fmt::format("norm.{}", part)] = found->second;
    for (int level = 0; level <= last; ++level) {
      tensors.erase(fmt::format("norm{}.{}", level, part));
    }
  }
  notes.push_back(
      fmt::format("norm{} of the backbone is used as its final norm, the norms of the other levels "
                  "are dropped.",
                  last));
}

// Finds the model among the tensors: below "weight." in golden files, "backbone." in detectors.
void select_model(TensorMap& tensors, Notes& notes) {
  const char* kFirst = "patch_embed.proj.weight";
  if (tensors.contains(kFirst)) return use_output_norms(tensors, notes);
  for (const std::string prefix : {"weight.", "backbone."}) {
    if (!tensors.contains(prefix + kFirst)) continue;
    TensorMap kept = below_prefix(tensors, prefix);
    notes.push_back(fmt::format("the {} tensors under '{}' are the model, {} others are ignored.",
                                kept.size(), prefix, tensors.size() - kept.size()));
    tensors = std::move(kept);
    if (prefix == "backbone.") {
      tensors.erase("head.weight");
      tensors.erase("head.bias");
      use_output_norms(tensors, notes);
    }
    return;
  }
}

void check_wanted_shift(const CheckpointOptions& options, const ShiftSize& found,
                        const std::string& what, const std::string& source) {
  require(
      !options.shift_size || *options.shift_size == found, ErrorCode::kMismatch,
      "{}: shift size {} was asked for, but {} says {}; leave the option out, or give the whole "
      "model description to override the file",
      what, to_string(options.shift_size.value_or(ShiftSize{})), source, to_string(found));
}

void choose_shift(Config& config, const Hints& hints, const CheckpointOptions& options,
                  const std::string& what, Notes& notes) {
  if (hints.given.contains("shift_size")) {
    check_wanted_shift(options, config.shift_size, what, hints.source);
    notes.push_back(
        fmt::format("shift size {} is taken from {}.", to_string(config.shift_size), hints.source));
  } else if (options.shift_size) {
    config.shift_size = *options.shift_size;
    notes.push_back(fmt::format("shift size {} is the caller's: the file does not say it.",
                                to_string(config.shift_size)));
  } else {
    notes.push_back(
        fmt::format("shift size {} is assumed: neither the file nor the caller says it, and "
                    "weights do not show "
                    "it.",
                    to_string(config.shift_size)));
  }
  std::string assumed;
  for (const auto& [field, value] : {std::pair{"padding", std::string(to_string(config.padding))},
                                     {"dilation", fmt::format("{}", config.dilation)},
                                     {"connection", std::string(to_string(config.connection))}}) {
    if (!hints.given.contains(field))
      assumed += fmt::format("{}{} {}", assumed.empty() ? "" : ", ", field, value);
  }
  if (!assumed.empty()) notes.push_back(fmt::format("{} assumed, as published.", assumed));
}

// A spec for a file that does not carry one: shapes first, then what else the file says.
ModelSpec describe(const WeightFile& file, const CheckpointOptions& options,
                   const std::string& what, Notes& notes) {
  const Hints hints = file.training_config.empty()
                          ? hints_from_metadata(file.metadata, what)
                          : hints_from_training_config(file.training_config, what);
  ModelSpec spec = hints.spec;
  const Config said = spec.config;
  Config& config = spec.config;
  config = infer_config(file.tensors, said, what);
  // Said and seen must agree: what was said is kept, so that check_parameters names the difference.
  if (hints.given.contains("in_chans")) config.in_chans = said.in_chans;
  if (hints.given.contains("num_classes")) config.num_classes = said.num_classes;
  if (hints.given.contains("embed_dim")) config.embed_dim = said.embed_dim;
  if (hints.given.contains("depths")) config.depths = said.depths;
  if (hints.given.contains("patch_size")) config.patch_size = said.patch_size;
  if (hints.given.contains("mlp_ratio")) config.mlp_ratio = said.mlp_ratio;
  if (hints.given.contains("patch_norm")) config.patch_norm = said.patch_norm;
  choose_shift(config, hints, options, what, notes);

  spec.preprocessing = default_preprocessing(config, spec.preprocessing.size);
  notes.push_back(
      fmt::format("preprocessing assumed: {} pixels{}, crop_pct {}, bicubic, {} mean and std.",
                  spec.preprocessing.size,
                  hints.given.contains("img_size") ? " (from " + hints.source + ")" : "",
                  spec.preprocessing.crop_pct, config.in_chans == 3 ? "ImageNet's" : "0.5 as"));
  if (hints.given.contains("drop_path")) {
    notes.push_back(
        fmt::format("drop path rate {} is taken from {}.", config.drop_path, hints.source));
  }
  if (hints.given.contains("name")) {
    notes.push_back(fmt::format("the name '{}' is taken from {}.", spec.name, hints.source));
  }
  spec.name = model_name({Architecture{spec, AsMlpFamily{}}});
  spec.origin["source"] = std::filesystem::path(what).filename().string();
  return spec;
}

// A described model as a classifier: itself, or the backbone of a detector or segmentor.
ModelSpec classifier_of(const Description& description) {
  if (const auto* architecture = std::get_if<Architecture>(&description.model)) {
    return architecture->spec;
  }
  ModelSpec spec;
  spec.config = description.backbone();
  spec.preprocessing = default_preprocessing(spec.config, spec.preprocessing.size);
  spec.name = model_name({Architecture{spec, AsMlpFamily{}}});
  spec.origin = description.origin();
  return spec;
}

}  // namespace

Checkpoint load_checkpoint(const std::filesystem::path& path, const CheckpointOptions& options,
                           std::vector<std::string>* notes) {
  return load_checkpoint(read_weights(path), options, notes);
}

Checkpoint load_checkpoint(WeightFile file, const CheckpointOptions& options,
                           std::vector<std::string>* notes) {
  Notes ignored;
  Notes& said = notes != nullptr ? *notes : ignored;
  const std::string what = file.path.string();
  said.insert(said.end(), file.notes.begin(), file.notes.end());
  std::optional<Description> described;
  if (!options.spec) described = file.description();
  if (described) {
    const auto* architecture = std::get_if<Architecture>(&described->model);
    require(architecture != nullptr || options.backbone_of_any_task, ErrorCode::kUnsupported,
            "{}: weights of a {}, which is no classifier; use a classifier's", what,
            model_kind(described->task()));
    require(
        architecture == nullptr || is_as_mlp(*architecture), ErrorCode::kUnsupported,
        "{}: weights of the baseline '{}'; only training with LibTorch knows it (`asmlp train`)",
        what, described->name());
  }
  select_model(file.tensors, said);

  Checkpoint checkpoint;
  if (options.spec) {
    checkpoint.spec = *options.spec;
    if (options.shift_size) checkpoint.spec.config.shift_size = *options.shift_size;
  } else if (described) {
    checkpoint.spec = classifier_of(*described);
    check_wanted_shift(options, checkpoint.spec.config.shift_size, what, "its description");
  } else {
    checkpoint.spec = describe(file, options, what, said);
  }
  ModelSpec& spec = checkpoint.spec;
  if (!described && spec.classes.empty()) {
    spec.classes = class_names_for(file, spec.config.num_classes, &said);
  }
  validate(spec);
  check_parameters(spec.config, file.tensors, what);
  if (options.non_finite == NonFinite::kRefuse) {
    require_finite(file.tensors, what);
  } else if (std::string problem = non_finite_values(file.tensors); !problem.empty()) {
    said.push_back(problem + ".");
  }
  // A description may have come from another file than the weights.
  if (!is_quantized(file.tensors)) spec.quantization.reset();
  checkpoint.tensors = std::move(file.tensors);
  return checkpoint;
}

void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  validate(checkpoint.spec);
  check_parameters(checkpoint.spec.config, checkpoint.tensors, path.string());
  write_safetensors(path, checkpoint.tensors,
                    {{"format", "pt"}, {kDescriptionKey, to_json(checkpoint.spec)}});
}

}  // namespace asmlp
