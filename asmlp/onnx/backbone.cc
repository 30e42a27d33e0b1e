#include <fmt/format.h>

#include <algorithm>

#include "asmlp/onnx/networks.h"

namespace asmlp {
namespace {

using Value = GraphBuilder::Value;

// ceil(side / stride) positions: a window of 3 around every second pixel, or of `patch` pixels side
// by side, the last one with as many zeros as are missing.
constexpr OnnxLayers::Window kHalving{3, 2, 1, 1};
OnnxLayers::Window patches(int patch) { return {patch, patch, 0, patch - 1}; }

class BackboneNodes {
 public:
  BackboneNodes(GraphBuilder& graph, OnnxLayers& layers, const Config& config,
                const std::string& prefix)
      : graph_(graph), layers_(layers), config_(config), prefix_(prefix) {}

  OnnxBackbone run(const Value& input) {
    OnnxBackbone maps;
    Value x = patch_embed(input);
    maps.features.push_back(x);
    for (int stage = 0; stage < config_.num_stages(); ++stage) {
      const std::string layer = fmt::format("{}layers.{}.", prefix_, stage);
      for (int i = 0; i < config_.depths[static_cast<size_t>(stage)]; ++i) {
        x = block(fmt::format("{}blocks.{}.", layer, i), x, config_.dim(stage));
      }
      maps.stages.push_back(x);
      if (stage + 1 < config_.num_stages()) x = downsample(layer + "downsample.", x);
      maps.features.push_back(x);
    }
    return maps;
  }

 private:
  Value patch_embed(const Value& input) {
    const std::string name = prefix_ + "patch_embed.";
    graph_.scope(name);
    Value x = input;
    for (int i = 0; i < config_.stem_convs(); ++i) {
      const std::string step = fmt::format("{}stem.{}.", name, i);
      x = layers_.conv(step + "conv", x, kHalving);
      x = layers_.gelu(layers_.norm(step + "norm", x));
    }
    const bool convs = config_.stem == Stem::kConv;
    x = layers_.conv(name + "proj", x, convs ? kHalving : patches(config_.patch_size));
    return config_.patch_norm ? layers_.norm(name + "norm", x) : x;
  }

  Value block(const std::string& name, const Value& x, int channels) {
    graph_.scope(name + "axial_shift.");
    const Value sum = layers_.add(x, axial_shift(name, x, channels));
    graph_.scope(name + "mlp.");
    Value y = layers_.norm(name + "norm2", sum);
    y = layers_.gelu(layers_.conv(name + "mlp.fc1", y));
    return layers_.add(sum, layers_.conv(name + "mlp.fc2", y));
  }

  // conv3(norm2(mix(GELU(norm1(conv1(norm(x)))))))
  Value axial_shift(const std::string& block, const Value& x, int channels) {
    const std::string name = block + "axial_shift.";
    Value y = layers_.conv(name + "conv1", layers_.norm(block + "norm1", x));
    y = layers_.gelu(layers_.norm(name + "norm1", y));
    const auto along = [&](const char* conv, MapAxis axis, const Value& map) {
      return layers_.gelu(layers_.conv(name + conv, layers_.shift(map, axis, channels, config_)));
    };
    if (config_.connection == Connection::kParallel) {
      const Value columns = along("conv2_1", MapAxis::kW, y);
      y = layers_.add(columns, along("conv2_2", MapAxis::kH, y));
    } else {
      y = along("conv2_2", MapAxis::kH, along("conv2_1", MapAxis::kW, y));
    }
    return layers_.conv(name + "conv3", layers_.norm(name + "norm2", y));
  }

  Value downsample(const std::string& name, const Value& x) {
    graph_.scope(name);
    if (config_.downsample == Downsample::kConv) {
      return layers_.conv(name + "reduction", layers_.norm(name + "norm", x), kHalving);
    }
    return layers_.conv(name + "reduction", layers_.norm(name + "norm", layers_.neighbors(x)));
  }

  GraphBuilder& graph_;
  OnnxLayers& layers_;
  const Config& config_;
  const std::string prefix_;
};

}  // namespace

OnnxBackbone add_backbone(GraphBuilder& graph, OnnxLayers& layers, const Config& config,
                          const std::string& prefix, const Value& input) {
  return BackboneNodes(graph, layers, config, prefix).run(input);
}

std::vector<OnnxOutput> add_classifier(GraphBuilder& graph, OnnxLayers& layers,
                                       const Config& config, const Value& input, bool features) {
  const OnnxBackbone maps = add_backbone(graph, layers, config, "", input);
  std::vector<OnnxOutput> outputs;
  if (config.num_classes > 0) {
    graph.scope("head.");
    const Value pooled = layers.mean_of_pixels(layers.norm("norm", maps.stages.back()));
    outputs.push_back({"logits", layers.linear("head", pooled), config.num_classes});
  }
  if (config.num_classes > 0 && !features) return outputs;
  for (int k = 0; k <= config.num_stages(); ++k) {
    // The last stage has no downsampling behind it.
    const int stage = std::min(k, config.num_stages() - 1);
    outputs.push_back({fmt::format("feature.{}", k), maps.features[static_cast<size_t>(k)],
                       config.dim(stage), int64_t{config.patch_size} << stage});
  }
  return outputs;
}

}  // namespace asmlp
