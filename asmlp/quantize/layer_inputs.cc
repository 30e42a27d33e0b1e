#include "asmlp/quantize/layer_inputs.h"

#include <fmt/format.h>

namespace asmlp {

std::vector<LayerInput> layer_inputs(const Config& config) {
  std::vector<LayerInput> inputs;
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    const int64_t dim = config.dim(stage);
    const std::string layer = fmt::format("layers.{}.", stage);
    for (int i = 0; i < config.depths[stage]; ++i) {
      const std::string block = fmt::format("{}blocks.{}.", layer, i);
      const std::string shift = block + "axial_shift.";
      inputs.push_back({{shift + "conv1"}, block + "norm1", dim});
      if (config.connection == Connection::kParallel) {
        inputs.push_back({{shift + "conv2_1", shift + "conv2_2"}, "", dim});
      } else {
        inputs.push_back({{shift + "conv2_1"}, "", dim});
        inputs.push_back({{shift + "conv2_2"}, "", dim});
      }
      inputs.push_back({{shift + "conv3"}, shift + "norm2", dim});
      inputs.push_back({{block + "mlp.fc1"}, block + "norm2", dim});
      inputs.push_back({{block + "mlp.fc2"}, "", config.hidden_dim(stage)});
    }
    if (stage + 1 < config.num_stages()) {
      inputs.push_back({{layer + "downsample.reduction"}, layer + "downsample.norm", 4 * dim});
    }
  }
  return inputs;
}

std::vector<std::vector<const PackedMatrix*>> input_readers(const Config& config,
                                                            const PackedWeights& weights) {
  std::vector<std::vector<const PackedMatrix*>> readers;
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    for (const PackedBlock& block : weights.stages[stage].blocks) {
      readers.push_back({&block.conv1});
      if (config.connection == Connection::kParallel) {
        readers.push_back({&block.conv2_1, &block.conv2_2});
      } else {
        readers.push_back({&block.conv2_1});
        readers.push_back({&block.conv2_2});
      }
      readers.push_back({&block.conv3});
      readers.push_back({&block.fc1});
      readers.push_back({&block.fc2});
    }
    if (stage + 1 < config.num_stages()) readers.push_back({&weights.stages[stage].reduction});
  }
  return readers;
}

}  // namespace asmlp
