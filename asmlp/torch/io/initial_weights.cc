#include "asmlp/torch/io/initial_weights.h"

#include "asmlp/core/error.h"
#include "asmlp/torch/nn/as_mlp.h"
#include "asmlp/torch/io/backbone_weights.h"
#include "asmlp/torch/nn/load_state.h"
#include "asmlp/weights/checkpoint.h"
#include "asmlp/weights/safetensors.h"

namespace asmlp::train {
namespace {

// The backbone of a file that describes itself as a detector or segmentor, which load_checkpoint
// refuses (the authors' such files it takes), as a classifier without head: the norm of the last
// map takes the place of the classifier's. Empty for other files.
TensorMap dense_backbone(const std::filesystem::path& path, const Config& wanted,
                         std::vector<std::string>& notes) {
  const nn::StateFile file = nn::read_state_file(path);
  if (!file.metadata.contains("asmlp_detector") && !file.metadata.contains("asmlp_segmentor")) {
    return {};
  }
  const std::string last_norm = fmt::format("norm{}.", wanted.num_stages() - 1);
  TensorMap tensors;
  for (auto& [name, tensor] : nn::below_prefix(file.tensors, "backbone.")) {
    if (name.starts_with(last_norm)) {
      tensors.insert_or_assign("norm." + name.substr(last_norm.size()), tensor);
    } else if (!name.starts_with("norm")) {
      tensors.insert_or_assign(name, tensor);
    }
  }
  notes.push_back(fmt::format("{} tensors of the backbone are taken, {} others are not",
                              tensors.size(), file.tensors.size() - tensors.size()));
  const auto shift = nn::described_shift(file.metadata);
  if (shift && *shift != wanted.shift_size) {
    notes.push_back(fmt::format("the weights were made for shift size {}, the model's is {}",
                                nn::shift_text(*shift), nn::shift_text(wanted.shift_size)));
  }
  return tensors;
}

// The tensors of a file, AS-MLP or another architecture.
TensorMap read_weights(const std::filesystem::path& path, const nn::Architecture& architecture,
                       std::vector<std::string>& notes) {
  if (!nn::is_as_mlp(architecture)) {
    TensorFile file = read_safetensors(path);
    require(file.metadata.contains("asmlp_architecture"), ErrorCode::kMismatch,
            "{}: says nothing about its architecture; a {} starts from the best.safetensors or "
            "final.safetensors of a training run",
            path.string(), architecture.spec.name);
    return std::move(file.tensors);
  }
  if (TensorMap tensors = dense_backbone(path, architecture.spec.config, notes); !tensors.empty()) {
    return tensors;
  }
  LoadOptions options;
  options.shift_size = architecture.spec.config.shift_size;
  Checkpoint checkpoint = load_checkpoint(path, options, &notes);
  // What leaves no trace in the shapes, but decides what the weights mean.
  const Config &found = checkpoint.spec.config, &wanted = architecture.spec.config;
  if (found.shift_size != wanted.shift_size || found.dilation != wanted.dilation ||
      found.padding != wanted.padding || found.connection != wanted.connection) {
    notes.emplace_back("the weights were made for another shift, dilation, padding or connection");
  }
  return std::move(checkpoint.tensors);
}

bool belongs_to_head(const std::string& name) { return name.starts_with("head."); }

}  // namespace

std::vector<std::string> load_initial_weights(torch::nn::Module& model,
                                              const nn::Architecture& architecture,
                                              const std::filesystem::path& path) {
  std::vector<std::string> notes;
  TensorMap tensors = read_weights(path, architecture, notes);
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
    for (auto& [name, tensor] : nn::export_parameters(model)) {
      if (belongs_to_head(name)) tensors.insert_or_assign(name, std::move(tensor));
    }
    notes.push_back(
        has_head
            ? fmt::format("the head starts anew: {} classes, and the file's has another number",
                          architecture.spec.config.num_classes)
            : "the head starts anew: the file has none");
  }
  try {
    nn::load_parameters(model, tensors);
  } catch (const Error& error) {
    fail(error.code(), "{}: {}", path.string(), error.what());
  }
  return notes;
}

}  // namespace asmlp::train
