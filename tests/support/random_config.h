// Random model configs. Each test names the values it draws from, because each has its own reach:
// the reference kernels cannot do large models, LibTorch's path has no comparison without a head.
#pragma once

#include <random>
#include <vector>

#include "asmlp/model/config.h"

namespace asmlp::test {

struct ConfigChoices {
  std::vector<int> in_chans;
  std::vector<int> num_classes;
  std::vector<int> embed_dim;
  std::vector<int> stages;  // how many
  std::vector<int> blocks;  // in each of them
  std::vector<int> patch_size;
  std::vector<double> mlp_ratio;
  std::vector<int> shift_h;
  std::vector<int> shift_w;
  std::vector<int> dilation;
};

// Every padding, both connections, and both ways to downsample are drawn, too; one config in four
// has no patch_norm, and every second one that can have a stem of convolutions has it.
inline Config random_config(std::mt19937& random, const ConfigChoices& choices) {
  const auto pick = [&](const auto& values) { return values[random() % values.size()]; };
  Config config;
  config.in_chans = pick(choices.in_chans);
  config.num_classes = pick(choices.num_classes);
  config.embed_dim = pick(choices.embed_dim);
  config.depths.clear();
  for (int left = pick(choices.stages); left > 0; --left) {
    config.depths.push_back(pick(choices.blocks));
  }
  config.patch_size = pick(choices.patch_size);
  config.mlp_ratio = pick(choices.mlp_ratio);
  config.shift_size.h = pick(choices.shift_h);
  config.shift_size.w = pick(choices.shift_w);
  config.dilation = pick(choices.dilation);
  config.padding = static_cast<Padding>(random() % 4);
  config.connection = static_cast<Connection>(random() % 2);
  config.patch_norm = random() % 4 != 0;
  config.downsample = static_cast<Downsample>(random() % 2);
  const bool halves = config.patch_size == 4 || config.patch_size == 8;
  if (halves && config.embed_dim % 4 == 0) config.stem = static_cast<Stem>(random() % 2);
  return config;
}

}  // namespace asmlp::test
