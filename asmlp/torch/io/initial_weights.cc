#include "asmlp/torch/io/initial_weights.h"

#include "asmlp/core/error.h"
#include "asmlp/torch/io/backbone_weights.h"
#include "asmlp/torch/io/class_rows.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/finite.h"
#include "asmlp/weights/quantized.h"
#include "asmlp/weights/weight_file.h"

namespace asmlp::nn {
namespace {

using Notes = std::vector<std::string>;

// Training goes on from the numbers that int8 weights stand for.
void take_as_fp32(TensorMap& tensors, const std::filesystem::path& path, Notes& notes) {
  if (!is_quantized(tensors)) return;
  tensors = dequantized(tensors);
  notes.push_back(
      fmt::format("{}: its int8 weights are taken as the fp32 numbers that they stand "
                  "for",
                  path.string()));
}

struct ClassifierFile {
  TensorMap tensors;
  ClassList classes;
};

// What a file, AS-MLP or baseline, holds of a classifier.
ClassifierFile read_classifier(const std::filesystem::path& path, const Architecture& architecture,
                               Notes& notes) {
  const WeightFile file = read_weights(path);
  const auto described = file.description();
  if (!is_as_mlp(architecture)) {
    const auto* own = described ? std::get_if<Architecture>(&described->model) : nullptr;
    require(own != nullptr && own->family.index() == architecture.family.index(),
            ErrorCode::kMismatch,
            "{}: not the weights of '{}'; a baseline starts from the best.safetensors or "
            "final.safetensors of a training run of its own",
            path.string(), architecture.spec.name);
    require_finite(file.tensors, path.string());
    notes.insert(notes.end(), file.notes.begin(), file.notes.end());
    return {file.tensors, {own->spec.classes, own->spec.config.num_classes}};
  }
  const Config& wanted = architecture.spec.config;
  CheckpointOptions options;
  options.backbone_of_any_task = true;
  if (!described || described->task() == Task::kClassify) options.shift_size = wanted.shift_size;
  Checkpoint checkpoint = load_checkpoint(path, options, &notes);
  // What leaves no trace in the shapes, but decides what the weights mean.
  const Config& found = checkpoint.spec.config;
  if (found.shift_size != wanted.shift_size) {
    notes.push_back(fmt::format("the weights were made for shift size {}, the model's is {}",
                                to_string(found.shift_size), to_string(wanted.shift_size)));
  }
  if (found.dilation != wanted.dilation || found.padding != wanted.padding ||
      found.connection != wanted.connection) {
    notes.emplace_back("the weights were made for another dilation, padding or connection");
  }
  take_as_fp32(checkpoint.tensors, path, notes);
  return {std::move(checkpoint.tensors), {checkpoint.spec.classes, found.num_classes}};
}

void say(Notes& notes, const std::string& note) {
  if (!note.empty()) notes.push_back(note);
}

Notes start_classifier(torch::nn::Module& model, const Architecture& architecture,
                       const std::filesystem::path& path) {
  Notes notes;
  ClassifierFile file = read_classifier(path, architecture, notes);
  TensorMap& tensors = file.tensors;
  const ModelSpec& spec = architecture.spec;
  const ClassMatch match = match_classes(file.classes, {spec.classes, spec.config.num_classes});
  apply_match(tensors, match, file.classes.count);
  if (match.source.empty()) {
    for (auto& [name, tensor] : export_parameters(model)) {
      if (name.starts_with("head.")) tensors.insert_or_assign(name, std::move(tensor));
    }
  }
  say(notes, match.note);
  try {
    load_parameters(model, tensors);
  } catch (const Error& error) {
    fail(error.code(), "{}: {}", path.string(), error.what());
  }
  return notes;
}

BackboneImpl& backbone_of(torch::nn::Module& model) {
  return *std::dynamic_pointer_cast<BackboneImpl>(model.named_children()["backbone"]);
}

// The classes of a whole network's file: by its description, else by the shapes of its heads.
ClassList classes_of(const WeightFile& file) {
  if (const auto described = file.description()) {
    return {described->classes(), described->num_classes()};
  }
  for (const auto& [name, tensor] : file.tensors) {
    if (name.ends_with("conv_seg.weight")) return {{}, static_cast<int>(tensor.shape.at(0))};
    if (name.ends_with("fc_cls.weight")) return {{}, static_cast<int>(tensor.shape.at(0)) - 1};
  }
  return {};
}

// `head_prefix` is of names that only a whole network of the task has.
Notes start_dense(torch::nn::Module& model, const ClassList& classes,
                  const std::string& head_prefix, const std::filesystem::path& path) {
  WeightFile file = read_weights(path);
  require_finite(file.tensors, path.string());
  Notes notes = file.notes;
  take_as_fp32(file.tensors, path, notes);
  if (below_prefix(file.tensors, head_prefix).empty()) {
    BackboneReport report = load_backbone(backbone_of(model), file);
    notes.insert(notes.end(), report.notes.begin(), report.notes.end());
    if (!report.state.complete()) {
      notes.push_back(fmt::format("{}: backbone: {}", path.string(), describe(report.state)));
    }
    return notes;
  }
  const ClassList its = classes_of(file);
  const ClassMatch match = match_classes(its, classes);
  apply_match(file.tensors, match, its.count);
  say(notes, match.note);
  // What else has another shape.
  const TensorMap own = export_state(model);
  size_t others = 0;
  std::erase_if(file.tensors, [&](const auto& item) {
    const auto found = own.find(item.first);
    const bool other = found != own.end() && found->second.shape != item.second.shape;
    require(!other || !item.first.starts_with("backbone."), ErrorCode::kMismatch,
            "{}: '{}' has shape {} there, the network's is {}: it is another backbone",
            path.string(), item.first, to_string(item.second.shape),
            other ? to_string(found->second.shape) : "");
    others += other;
    return other;
  });
  const StateReport report = load_state(model, file.tensors, path.string());
  if (others > 0) {
    notes.push_back(
        fmt::format("{}: {} tensors have another shape and start anew", path.string(), others));
  }
  if (!report.complete()) notes.push_back(path.string() + ": " + describe(report));
  return notes;
}

}  // namespace

Notes load_initial_weights(torch::nn::Module& model, const Description& wanted,
                           const std::filesystem::path& path) {
  const ClassList classes{wanted.classes(), wanted.num_classes()};
  switch (wanted.task()) {
    case Task::kDetect:
      return start_dense(model, classes, "rpn_head.", path);
    case Task::kSegment:
      return start_dense(model, classes, "decode_head.", path);
    case Task::kClassify:
      break;
  }
  return start_classifier(model, std::get<Architecture>(wanted.model), path);
}

}  // namespace asmlp::nn
