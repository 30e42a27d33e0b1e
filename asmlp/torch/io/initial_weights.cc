#include "asmlp/torch/io/initial_weights.h"

#include <algorithm>

#include "asmlp/core/error.h"
#include "asmlp/torch/io/backbone_weights.h"
#include "asmlp/torch/io/class_rows.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/weight_file.h"

namespace asmlp::nn {
namespace {

using Notes = std::vector<std::string>;

// Rows of heads follow the names of the classes.
void follow_classes(TensorMap& tensors, const std::vector<std::string>& from,
                    const std::vector<std::string>& to, Notes& notes) {
  if (reorder_class_rows(tensors, from, to)) {
    notes.emplace_back("the weights have the same classes in another order; matched by name");
  } else if (from != to && from.size() == to.size()) {
    const auto differ = std::ranges::mismatch(from, to);
    notes.push_back(
        fmt::format("the weights are of other classes, of which the head's start: '{}' for '{}'",
                    *differ.in1, *differ.in2));
  }
}

// The tensors of a file, AS-MLP or baseline, as a classifier's.
TensorMap classifier_tensors(const std::filesystem::path& path, const Architecture& architecture,
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
    TensorMap tensors = file.tensors;
    follow_classes(tensors, own->spec.classes, architecture.spec.classes, notes);
    return tensors;
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
  follow_classes(checkpoint.tensors, checkpoint.spec.classes, architecture.spec.classes, notes);
  return std::move(checkpoint.tensors);
}

bool belongs_to_head(const std::string& name) { return name.starts_with("head."); }

Notes start_classifier(torch::nn::Module& model, const Architecture& architecture,
                       const std::filesystem::path& path) {
  Notes notes;
  TensorMap tensors = classifier_tensors(path, architecture, notes);
  bool same_head = true, has_head = false;
  for (const auto& item : model.named_parameters()) {
    if (!belongs_to_head(item.key())) continue;
    const auto found = tensors.find(item.key());
    has_head = has_head || found != tensors.end();
    same_head =
        same_head && found != tensors.end() &&
        found->second.shape == Shape(item.value().sizes().begin(), item.value().sizes().end());
  }
  if (!same_head) {
    std::erase_if(tensors, [](const auto& item) { return belongs_to_head(item.first); });
    for (auto& [name, tensor] : export_parameters(model)) {
      if (belongs_to_head(name)) tensors.insert_or_assign(name, std::move(tensor));
    }
    notes.push_back(
        has_head
            ? fmt::format("the head starts anew: {} classes, and the file's has another number",
                          architecture.spec.config.num_classes)
            : "the head starts anew: the file has none");
  }
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

// `head_prefix` is of names that only a whole network of the task has; `classes` are the model's.
Notes start_dense(torch::nn::Module& model, const std::string& head_prefix,
                  const std::vector<std::string>& classes, const std::filesystem::path& path) {
  WeightFile file = read_weights(path);
  Notes notes;
  if (below_prefix(file.tensors, head_prefix).empty()) {
    BackboneReport report = load_backbone(backbone_of(model), file);
    notes = std::move(report.notes);
    if (!report.state.complete()) {
      notes.push_back(fmt::format("{}: backbone: {}", path.string(), describe(report.state)));
    }
    return notes;
  }
  if (const auto described = file.description()) {
    follow_classes(file.tensors, described->classes(), classes, notes);
  }
  // Heads of another number of classes start anew.
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
        fmt::format("{}: {} tensors have another shape (another number of classes?) and start anew",
                    path.string(), others));
  }
  if (!report.complete()) notes.push_back(path.string() + ": " + describe(report));
  return notes;
}

}  // namespace

Notes load_initial_weights(torch::nn::Module& model, const Description& wanted,
                           const std::filesystem::path& path) {
  switch (wanted.task()) {
    case Task::kDetect:
      return start_dense(model, "rpn_head.", wanted.classes(), path);
    case Task::kSegment:
      return start_dense(model, "decode_head.", wanted.classes(), path);
    case Task::kClassify:
      break;
  }
  return start_classifier(model, std::get<Architecture>(wanted.model), path);
}

}  // namespace asmlp::nn
