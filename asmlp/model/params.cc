#include "asmlp/model/params.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "asmlp/model/param_table.h"

namespace asmlp {
namespace {

void add_block(ParamTable& table, const std::string& block, int dim, int hidden) {
  table.norm(block + ".norm1", dim);
  table.conv_with_bias(block + ".axial_shift.conv1", dim, dim);
  table.conv_with_bias(block + ".axial_shift.conv2_1", dim, dim);
  table.conv_with_bias(block + ".axial_shift.conv2_2", dim, dim);
  table.conv_with_bias(block + ".axial_shift.conv3", dim, dim);
  table.norm(block + ".axial_shift.norm1", dim);
  table.norm(block + ".axial_shift.norm2", dim);
  table.norm(block + ".norm2", dim);
  table.conv_with_bias(block + ".mlp.fc1", hidden, dim);
  table.conv_with_bias(block + ".mlp.fc2", dim, hidden);
}

}  // namespace

std::vector<Param> parameter_table(const Config& config) {
  ParamTable table;
  int in = config.in_chans;
  for (int i = 0; i < config.stem_convs(); in = config.stem_dim(i++)) {
    const std::string step = fmt::format("patch_embed.stem.{}", i);
    table.conv_with_bias(step + ".conv", config.stem_dim(i), in, 3);
    table.norm(step + ".norm", config.stem_dim(i));
  }
  table.conv_with_bias("patch_embed.proj", config.embed_dim, in, stem_kernel(config));
  if (config.patch_norm) table.norm("patch_embed.norm", config.embed_dim);
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    const int dim = config.dim(stage);
    const std::string layer = fmt::format("layers.{}", stage);
    for (int i = 0; i < config.depths[stage]; ++i) {
      add_block(table, fmt::format("{}.blocks.{}", layer, i), dim, config.hidden_dim(stage));
    }
    if (stage + 1 < config.num_stages()) {
      const int kernel = downsample_kernel(config);
      const int norm = downsample_norm_dim(config, stage);
      table.conv(layer + ".downsample.reduction", 2 * dim, norm, kernel);
      table.norm(layer + ".downsample.norm", norm);
    }
  }
  table.norm("norm", config.num_features());
  if (config.num_classes > 0) table.linear("head", config.num_classes, config.num_features());
  return table.take();
}

std::vector<std::string> quantizable_layers(const Config& config) {
  constexpr std::string_view kWeight = ".weight";
  std::vector<std::string> layers;
  for (const Param& param : parameter_table(config)) {
    // The norms have one extent; the patch embedding and the head are not below "layers".
    if (!param.name.starts_with("layers.") || param.shape.size() < 2) continue;
    layers.push_back(param.name.substr(0, param.name.size() - kWeight.size()));
  }
  return layers;
}

namespace {

// The layers with a weight of two extents or more that `wanted` takes, but for the patch embedding.
template <typename Wanted>
std::vector<std::string> layers_of(const std::vector<Param>& table, const Wanted& wanted) {
  constexpr std::string_view kWeight = ".weight";
  std::vector<std::string> layers;
  for (const Param& param : table) {
    if (param.shape.size() < 2 || param.name.starts_with("backbone.patch_embed.")) continue;
    const std::string layer = param.name.substr(0, param.name.size() - kWeight.size());
    if (wanted(layer)) layers.push_back(layer);
  }
  return layers;
}

bool ends_with_any(const std::string& name, std::initializer_list<std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(),
                     [&](std::string_view end) { return name.ends_with(end); });
}

}  // namespace

std::vector<std::string> quantizable_layers(const DetectorConfig& config) {
  return layers_of(parameter_table(config), [](const std::string& layer) {
    return !ends_with_any(layer,
                          {"rpn_cls", "rpn_reg", "fc_cls", "fc_reg", "upsample", "conv_logits"});
  });
}

std::vector<std::string> quantizable_layers(const SegmentorConfig& config) {
  return layers_of(parameter_table(config), [](const std::string& layer) {
    return !layer.starts_with("auxiliary_head.") && !layer.ends_with("conv_seg");
  });
}

std::vector<Param> without_batch_norms(const std::vector<Param>& table) {
  constexpr std::string_view kGamma = ".bn.weight";
  std::vector<Param> folded;
  for (const Param& param : table) {
    if (param.name.find(".bn.") == std::string::npos) {
      folded.push_back(param);
    } else if (param.name.ends_with(kGamma)) {
      const std::string module = param.name.substr(0, param.name.size() - kGamma.size());
      folded.push_back({module + ".conv.bias", param.shape});
    }
  }
  return folded;
}

int64_t count_trained(const std::vector<Param>& table) {
  int64_t count = 0;
  for (const Param& param : table) count += param.trained ? element_count(param.shape) : 0;
  return count;
}

int64_t parameter_count(const Config& config) { return count_trained(parameter_table(config)); }

int64_t multiply_adds(const Config& config, int h, int w) {
  const auto sizes = stage_sizes(config, h, w);
  const auto pixels = [&](int stage) { return int64_t{sizes[stage].h} * sizes[stage].w; };
  const auto halved = stem_sizes(config, h, w);
  int64_t total = 0, in = config.in_chans;
  for (int i = 0; i < config.stem_convs(); ++i) {
    const int64_t out = config.stem_dim(i);
    total += int64_t{halved[i].h} * halved[i].w * out * (9 * in + 1);
    in = out;
  }
  total += pixels(0) * config.embed_dim * in * stem_kernel(config) * stem_kernel(config);
  if (config.patch_norm) total += pixels(0) * config.embed_dim;
  for (int stage = 0; stage < config.num_stages(); ++stage) {
    const int64_t dim = config.dim(stage);
    const int64_t hidden = config.hidden_dim(stage);
    // Per pixel: four channel projections and the MLP, then norm1, norm2, the shift's two norms and
    // its sum at one multiply-add per channel.
    total += config.depths[stage] * pixels(stage) * (4 * dim * dim + 2 * dim * hidden + 5 * dim);
    if (stage + 1 < config.num_stages()) {
      const int64_t depth = config.downsample == Downsample::kConv ? 9 * dim : 4 * dim;
      total += pixels(stage) * dim + pixels(stage + 1) * depth * (2 * dim);
    }
  }
  // The authors count the last norm on one more halving than there is (their integer division).
  total += config.num_features() * pixels(0) / (int64_t{1} << config.num_stages());
  total += int64_t{config.num_features()} * config.num_classes;
  return total;
}

}  // namespace asmlp
