#include "asmlp/torch/train/tasks/dense_task.h"

#include "asmlp/core/error.h"
#include "asmlp/torch/io/backbone_weights.h"
#include "asmlp/torch/nn/load_state.h"

namespace asmlp::train {

data::ItemLoaderOptions training_items(const TrainOptions& options, data::Remainder remainder,
                                       const dist::World& world) {
  data::ItemLoaderOptions loading;
  loading.batch_size = options.batch_size;
  loading.workers = options.workers;
  loading.seed = options.seed;
  loading.rank = world.rank();
  loading.world = world.size();
  loading.training = true;
  loading.remainder = remainder;
  loading.batches_per_epoch = options.steps_per_epoch * options.accumulation_steps;
  return loading;
}

data::ItemLoaderOptions validation_items(const TrainOptions& options, const dist::World& world) {
  data::ItemLoaderOptions loading;
  loading.batch_size = 1;
  loading.workers = options.workers;
  loading.rank = world.rank();
  loading.world = world.size();
  return loading;
}

std::vector<std::string> load_dense_weights(torch::nn::Module& model, nn::BackboneImpl& backbone,
                                            const std::string& head_prefix,
                                            const std::filesystem::path& path) {
  nn::StateFile file = nn::read_state_file(path);
  if (nn::below_prefix(file.tensors, head_prefix).empty()) {
    nn::BackboneReport report = nn::load_backbone(backbone, path);
    std::vector<std::string> notes = std::move(report.notes);
    if (!report.state.complete()) {
      notes.push_back(fmt::format("{}: backbone: {}", path.string(), describe(report.state)));
    }
    return notes;
  }
  // Heads of another number of classes start anew.
  std::vector<std::string> notes;
  const TensorMap own = nn::export_state(model);
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
  const nn::StateReport report = nn::load_state(model, file.tensors, path.string());
  if (others > 0) {
    notes.push_back(
        fmt::format("{}: {} tensors have another shape (another number of classes?) and start anew",
                    path.string(), others));
  }
  if (!report.complete()) notes.push_back(path.string() + ": " + describe(report));
  return notes;
}

}  // namespace asmlp::train
